//! A deterministic simulation of the whole coordinator: one thread, one seed.
//!
//! The product's own sessions, writer, committer, follower and recovery run here, over a clock, a disk and connections that this
//! module brings, in an order that is drawn. What leaves the coordinator is looked at as it leaves ([`audit`]), what it decides is
//! told a second time ([`ledger`]), and every law of `ARCHITECTURE.md` is checked after every step.
//!
//! It is part of the library, under a feature, so that it reaches what users do not; the product knows nothing of it.

mod agent;
mod audit;
mod blow;
mod campaign;
mod check;
mod clock;
mod disk;
mod effects;
mod faults;
mod healing;
mod host;
mod ledger;
mod life;
mod marks;
mod node;
mod peer;
mod random;
mod reads;
mod rot;
mod sessions;
mod swarm;
mod trace;
mod wire;
mod world;

pub use campaign::main;
