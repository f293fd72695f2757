//! The bytes on disk: segment headers, frame headers and the chain of hashes.
//!
//! Layout of a frame (little endian), aligned to 8 bytes inside its segment:
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic |
//! | 4..8 | crc32c over bytes 8.. of the header and the content, seeded with the segment's salt |
//! | 8..12 | length of the content |
//! | 12..16 | number of records |
//! | 16..24 | first sequence number |
//! | 24..32 | time of the batch |
//! | 32..40 | codec (one byte: the way out of today's encoding) and seven zeros |
//! | 40..72 | chain hash: SHA-256 over the previous chain hash, bytes 8..40 and the content |
//!
//! The checksum finds a torn write fast; the chain ties every frame to all that came before it. The salt is the
//! beginning of the chain hash at the segment's start: a client that puts the image of a frame into a payload cannot
//! make recovery take it for one.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{Frame, Seq};

/// Newest format of segments this release reads and writes.
pub(crate) const SEGMENT_FORMAT: u32 = 1;
/// Length of a segment's header in bytes: a page of its own, so that no frame shares a sector with it.
pub(crate) const SEGMENT_HEADER: usize = 4096;
/// Length of a frame's header in bytes.
pub(crate) const FRAME_HEADER: usize = 72;
/// Frames start at multiples of this many bytes, so that a search for frames can step.
pub(crate) const FRAME_ALIGN: usize = 8;
/// The most bytes of records in one frame: a damaged length must not make recovery ask for memory without bound.
pub const MAX_FRAME_BYTES: usize = 256 * 1024 * 1024;

const SEGMENT_MAGIC: &[u8; 8] = b"everlogS";
const FRAME_MAGIC: &[u8; 4] = b"eLfR";
/// The only codec so far: records as they were given.
const CODEC_PLAIN: u8 = 1;
const CRC_FROM: usize = 8;
const CHAIN_AT: usize = 40;

/// A hash that commits to every record up to some point.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ChainHash(pub [u8; 32]);

impl fmt::Display for ChainHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl ChainHash {
    fn next(self, fields: &[u8], content: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(fields);
        hash.update(content);
        Self(hash.finalize().into())
    }

    /// Seed of the checksums in a segment that starts here.
    pub(crate) fn salt(self) -> u32 {
        u32::from_le_bytes(field(&self.0, 0))
    }
}

/// Reads `N` bytes at `at`; zeros where the buffer ends, which callers rule out by checking lengths first.
pub(crate) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(part) = bytes.get(at..at + N) {
        out.copy_from_slice(part);
    }
    out
}

/// The fixed part of a frame, as read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) bytes: [u8; FRAME_HEADER],
    pub(crate) len: usize,
    pub(crate) count: u32,
    pub(crate) first: Seq,
    pub(crate) at: i64,
    pub(crate) codec: u8,
    pub(crate) chain: ChainHash,
}

impl FrameHead {
    /// Reads a header; `None` when these bytes cannot be one. The checksum is not looked at here.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; FRAME_HEADER] = *bytes.first_chunk()?;
        let head = Self {
            len: u32::from_le_bytes(field(&bytes, 8)) as usize,
            count: u32::from_le_bytes(field(&bytes, 12)),
            first: Seq::from_le_bytes(field(&bytes, 16)),
            at: i64::from_le_bytes(field(&bytes, 24)),
            codec: bytes[32],
            chain: ChainHash(field(&bytes, CHAIN_AT)),
            bytes,
        };
        let plausible = &bytes[..4] == FRAME_MAGIC
            && head.len <= MAX_FRAME_BYTES
            && head.count > 0
            && head.first > 0
            && head.first.checked_add(Seq::from(head.count)).is_some();
        plausible.then_some(head)
    }

    /// Whether a frame may start with these bytes: a fast first look.
    pub(crate) fn starts(bytes: &[u8]) -> bool {
        bytes.starts_with(FRAME_MAGIC)
    }

    /// Bytes from the start of this frame to the start of the next.
    pub(crate) fn span(&self) -> usize {
        (FRAME_HEADER + self.len).next_multiple_of(FRAME_ALIGN)
    }

    /// Last sequence number in the frame.
    pub(crate) fn last(&self) -> Seq {
        self.first + Seq::from(self.count) - 1
    }

    pub(crate) fn crc_matches(&self, content: &[u8], salt: u32) -> bool {
        let crc = crc32c::crc32c_append(salt, &self.bytes[CRC_FROM..]);
        crc32c::crc32c_append(crc, content) == u32::from_le_bytes(field(&self.bytes, 4))
    }

    pub(crate) fn chain_matches(&self, previous: ChainHash, content: &[u8]) -> bool {
        previous.next(&self.bytes[CRC_FROM..CHAIN_AT], content) == self.chain
    }

    pub(crate) fn codec_known(&self) -> bool {
        self.codec == CODEC_PLAIN
    }
}

/// Writes `frame` into `out` (cleared first), padded to the alignment, and returns the chain hash after it.
pub(crate) fn encode_frame(frame: &Frame, previous: ChainHash, salt: u32, out: &mut Vec<u8>) -> ChainHash {
    let content = frame.content();
    out.clear();
    out.extend_from_slice(FRAME_MAGIC);
    out.extend_from_slice(&[0; 4]);
    // The caller has checked the length against MAX_FRAME_BYTES.
    out.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&frame.first().to_le_bytes());
    out.extend_from_slice(&frame.at().to_le_bytes());
    out.extend_from_slice(&[CODEC_PLAIN, 0, 0, 0, 0, 0, 0, 0]);
    let chain = previous.next(&out[CRC_FROM..CHAIN_AT], content);
    out.extend_from_slice(&chain.0);
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(salt, &out[CRC_FROM..]), content);
    out[4..8].copy_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(FRAME_ALIGN), 0);
    chain
}

/// The first page of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    /// First sequence number in the segment.
    pub(crate) first: Seq,
    /// First sequence number of the segment before it, 0 for the first: a missing segment shows in the headers.
    pub(crate) previous: Seq,
    /// Chain hash before the first frame.
    pub(crate) chain: ChainHash,
}

/// Why a page is not a segment's header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadHead {
    Damaged(&'static str),
    Future(u32),
}

impl SegmentHead {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER);
        out.extend_from_slice(SEGMENT_MAGIC);
        out.extend_from_slice(&SEGMENT_FORMAT.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.previous.to_le_bytes());
        out.extend_from_slice(&self.chain.0);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.resize(SEGMENT_HEADER, 0);
        out
    }

    pub(crate) fn parse(page: &[u8]) -> Result<Self, BadHead> {
        if page.get(..8) != Some(SEGMENT_MAGIC) {
            return Err(BadHead::Damaged("it does not begin as a segment does"));
        }
        // The crc comes before the format: a flipped bit in the format number is damage, not the future.
        let crc = u32::from_le_bytes(field(page, 64));
        if page.get(..64).map(crc32c::crc32c) != Some(crc) {
            return Err(BadHead::Damaged("the header's checksum is wrong"));
        }
        let format = u32::from_le_bytes(field(page, 8));
        if format != SEGMENT_FORMAT {
            return Err(BadHead::Future(format));
        }
        Ok(Self {
            first: Seq::from_le_bytes(field(page, 16)),
            previous: Seq::from_le_bytes(field(page, 24)),
            chain: ChainHash(field(page, 32)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_and_every_flipped_bit_shows() {
        let mut frame = Frame::new(5, 99);
        frame.push(b"hello");
        frame.push(b"world!");
        let before = ChainHash([7; 32]);
        let mut bytes = Vec::new();
        let chain = encode_frame(&frame, before, before.salt(), &mut bytes);
        assert_eq!(bytes.len() % FRAME_ALIGN, 0);
        let good = |bytes: &[u8]| {
            FrameHead::parse(bytes).is_some_and(|head| {
                bytes
                    .get(FRAME_HEADER..FRAME_HEADER + head.len)
                    .is_some_and(|content| head.crc_matches(content, before.salt()))
            })
        };
        let head = FrameHead::parse(&bytes).unwrap();
        assert_eq!((head.first, head.count, head.at, head.chain), (5, 2, 99, chain));
        assert!(good(&bytes) && head.chain_matches(before, frame.content()));
        let used = FRAME_HEADER + head.len;
        for bit in 0..used * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!good(&bytes), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn the_format_is_frozen() {
        // These bytes are in people's data directories: a change here needs a new format number (law 13).
        let mut frame = Frame::new(1, 2);
        frame.push(b"abc");
        let mut bytes = Vec::new();
        encode_frame(&frame, ChainHash::default(), 0, &mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "654c6652544f34f307000000010000000100000000000000020000000000000001000000000000007fb0c5ee7a85c2ce332280361cb97aca4c654093928ded12e61556dff18298ac0300000061626300"
        );
        let head = SegmentHead { first: 2, previous: 1, chain: ChainHash([1; 32]) };
        let hex: String = head.encode()[..72].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "657665726c6f6753010000000000000002000000000000000100000000000000010101010101010101010101010101010101010101010101010101010101010100093d5c00000000"
        );
    }

    #[test]
    fn a_segment_header_reads_back_and_a_future_one_is_told_from_a_damaged_one() {
        let head = SegmentHead { first: 9, previous: 1, chain: ChainHash([3; 32]) };
        let mut page = head.encode();
        assert_eq!(SegmentHead::parse(&page), Ok(head));
        page[8] = 2;
        assert!(matches!(SegmentHead::parse(&page), Err(BadHead::Damaged(_))));
        let crc = crc32c::crc32c(&page[..64]);
        page[64..68].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHead::parse(&page), Err(BadHead::Future(2)));
    }
}
