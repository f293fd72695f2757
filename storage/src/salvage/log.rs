//! The sound frames of a commit log, wherever they stand: also behind damage, and in a segment whose header is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::disk::{Access, Disk, fault};
use crate::segment::{Cursor, Segment, Step, list_segments, segment_name};
use crate::wire::{ChainHash, FrameHead, SEGMENT_HEADER, SegmentHead};
use crate::{Fault, Frame, Head, Seq};

/// A frame that was found.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) first: Seq,
    pub(super) last: Seq,
    /// Chain hash in front of it, where the frame or the header that stands there proves it.
    before: Option<ChainHash>,
    /// Chain hash after it.
    pub(super) after: ChainHash,
    /// The segment that holds it, by number.
    pub(super) segment: usize,
    offset: u64,
}

/// What is sound in a commit log.
#[derive(Debug)]
pub(super) struct LogCopy {
    disk: Arc<dyn Disk>,
    segments: Vec<Segment>,
    /// By first record. A segment of another log may hold the same numbers.
    places: BTreeMap<Seq, Vec<Place>>,
    /// Records of the longest frame.
    longest: Seq,
    /// Stands behind the frame that was read last, since the next one is wanted mostly.
    cursor: Option<(usize, Cursor)>,
}

impl LogCopy {
    /// Looks through all segments.
    pub(super) fn scan(disk: &Arc<dyn Disk>) -> Result<Self, Fault> {
        let mut copy =
            Self { disk: Arc::clone(disk), segments: Vec::new(), places: BTreeMap::new(), longest: 1, cursor: None };
        for first in list_segments(&**disk)? {
            if let Some(segment) = copy.open(first)? {
                copy.segments.push(segment.clone());
                copy.scan_segment(segment)?;
            }
        }
        Ok(copy)
    }

    /// A file that has the name of another counts by its header. A damaged header is made again from what comes before it: the hash
    /// in it is the salt of all checksums.
    fn open(&self, first: Seq) -> Result<Option<Segment>, Fault> {
        match Segment::open(&*self.disk, first, Access::Read) {
            Err(Fault::Corrupt { .. }) => {}
            opened => return opened.map(Some),
        }
        let name = segment_name(first);
        let open = || {
            let file = self.disk.open(&name, Access::Read)?;
            let mut page = vec![0; SEGMENT_HEADER];
            file.read_at(&mut page, 0)?;
            Ok((file, page))
        };
        let (file, page) = open().map_err(fault(&*self.disk, "open", &name))?;
        if let Ok(head) = SegmentHead::parse(&page) {
            return Ok(Some(Segment { file, name, head }));
        }
        let before = self.places.values().flatten().find(|place| place.last + 1 == first);
        let chain = match before {
            Some(place) => place.after,
            None if first == 1 => ChainHash::default(),
            None => return Ok(None),
        };
        Ok(Some(Segment { file, name, head: SegmentHead { first, previous: 0, chain } }))
    }

    fn scan_segment(&mut self, segment: Segment) -> Result<(), Fault> {
        let disk = Arc::clone(&self.disk);
        let number = self.segments.len() - 1;
        let mut before = Some(segment.head.chain);
        let mut cursor = Cursor::new(segment.clone(), SEGMENT_HEADER as u64);
        let mut frame = Frame::default();
        loop {
            let offset = cursor.offset();
            match cursor.next(&*disk, &mut frame)? {
                Step::Frame(head) => {
                    let place = Place {
                        first: head.first,
                        last: head.last(),
                        before: before.filter(|before| head.chain_matches(*before, frame.content())),
                        after: head.chain,
                        segment: number,
                        offset,
                    };
                    before = Some(head.chain);
                    self.longest = self.longest.max(Seq::from(head.count));
                    self.places.entry(head.first).or_default().push(place);
                }
                Step::Blank | Step::Invalid(_) => {
                    before = None;
                    match cursor.rest(&*disk)?.frame {
                        Some((offset, _)) => cursor = Cursor::new(segment.clone(), offset),
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    /// The frame with record `next` first that follows `chain`.
    pub(super) fn after(&self, next: Seq, chain: ChainHash) -> Option<&Place> {
        self.places.get(&next)?.iter().find(|place| self.follows(place, chain))
    }

    /// The frames that hold record `seq`.
    pub(super) fn holding(&self, seq: Seq) -> impl Iterator<Item = &Place> {
        let near = self.places.range(seq.saturating_sub(self.longest)..=seq);
        near.rev().flat_map(|(_, places)| places).filter(move |place| place.last >= seq)
    }

    /// The frames that end so.
    pub(super) fn ending_with(&self, head: Head) -> impl Iterator<Item = &Place> {
        self.holding(head.seq).filter(move |place| (place.last, place.after) == (head.seq, head.chain))
    }

    /// The frames from record `from` on, in order.
    pub(super) fn from(&self, from: Seq) -> impl Iterator<Item = &Place> {
        self.places.range(from..).flat_map(|(_, places)| places)
    }

    /// Whether this hash stands in front of the frame.
    pub(super) fn follows(&self, place: &Place, chain: ChainHash) -> bool {
        match place.before {
            Some(before) => before == chain,
            None => self.load(place).is_some_and(|(head, frame)| head.chain_matches(chain, frame.content())),
        }
    }

    /// The records of a frame.
    pub(super) fn read(&mut self, place: &Place) -> Option<Frame> {
        let there = |(segment, cursor): &(usize, Cursor)| (*segment, cursor.offset()) == (place.segment, place.offset);
        let (_, mut cursor) =
            self.cursor.take().filter(there).unwrap_or_else(|| (place.segment, self.cursor_at(place)));
        let (_, frame) = next_of(&mut cursor, &*self.disk)?;
        self.cursor = Some((place.segment, cursor));
        Some(frame)
    }

    fn load(&self, place: &Place) -> Option<(FrameHead, Frame)> {
        next_of(&mut self.cursor_at(place), &*self.disk)
    }

    fn cursor_at(&self, place: &Place) -> Cursor {
        Cursor::new(self.segments[place.segment].clone(), place.offset)
    }
}

fn next_of(cursor: &mut Cursor, disk: &dyn Disk) -> Option<(FrameHead, Frame)> {
    let mut frame = Frame::default();
    match cursor.next(disk, &mut frame) {
        Ok(Step::Frame(head)) => Some((head, frame)),
        Ok(Step::Blank | Step::Invalid(_)) | Err(_) => None,
    }
}
