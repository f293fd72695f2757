//! Setters, so that a filter or a report can be put together in one expression and still get new fields later.

/// A setter for each of these fields: of optional ones first, then of those that always have a value.
macro_rules! setters {
    ($name:ident { $($optional:ident: $of:ty),+ $(; $($field:ident: $type:ty),+)? $(,)? }) => {
        impl $name {
            $(
                #[doc = concat!("Sets [`", stringify!($name), "::", stringify!($optional), "`].")]
                pub fn $optional(mut self, $optional: $of) -> Self {
                    self.$optional = Some($optional.into());
                    self
                }
            )+
            $($(
                #[doc = concat!("Sets [`", stringify!($name), "::", stringify!($field), "`].")]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field.into();
                    self
                }
            )+)?
        }
    };
}

pub(super) use setters;
