//! The storage, measured: durable appends beside the bare system calls for the same bytes, recovery, and the feed.
#![expect(clippy::expect_used, reason = "a benchmark that cannot run has nothing to say")]

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use everlog_storage::{CommitLog, DataDir, Frame, IndexKeys, Log, Opened, Options};

/// Length of a record in bytes: about that of an encoded event.
const RECORD_BYTES: usize = 150;
/// Records in a log that is read or fed.
const LOG_RECORDS: u64 = 500_000;
/// Bytes of a frame around its records.
const FRAME_HEADER_BYTES: usize = 72;
/// Where the bare writes start over, in bytes: they stay inside the space that was filled before.
const RAW_BYTES: u64 = 64 * 1024 * 1024;

fn fill(frame: &mut Frame, records: u64) {
    for nth in 0..records {
        frame.push_with(|out| {
            // A few pipelines and agents, as an index function finds them in real records.
            out.extend_from_slice(&(nth / 500).to_le_bytes());
            out.extend_from_slice(&(nth % 8).to_le_bytes());
            out.resize(out.len() + RECORD_BYTES - 16, 7);
        });
    }
}

fn index(record: &[u8], keys: &mut IndexKeys) {
    keys.add(1, &record[..8]);
    keys.add(2, &record[8..16]);
}

fn append(log: &mut CommitLog, frame: &mut Frame, records: u64) {
    frame.clear(log.durable() + 1, 0);
    fill(frame, records);
    log.append(frame).expect("append");
}

/// No store beside the log: the append alone.
fn log_alone() -> Options {
    Options { background: false, first_segment_bytes: RAW_BYTES, ..Options::default() }
}

fn grown(dir: &Path, options: Options) -> Opened {
    let mut opened = DataDir::open(dir, options).expect("open");
    let mut frame = Frame::default();
    while opened.log.durable() < LOG_RECORDS {
        append(&mut opened.log, &mut frame, 1_000);
    }
    opened
}

fn appends(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    group.sample_size(20);
    for records in [1, 64, 1024] {
        group.throughput(Throughput::Elements(records));
        let dir = tempfile::tempdir().expect("directory");
        let mut log = DataDir::open(dir.path().join("data"), log_alone()).expect("open").log;
        let mut frame = Frame::default();
        group.bench_function(BenchmarkId::new("log", records), |bencher| {
            bencher.iter(|| append(&mut log, &mut frame, records));
        });
        let bytes = vec![7; FRAME_HEADER_BYTES + frame.byte_len()];
        let file = File::create(dir.path().join("raw")).expect("file");
        file.write_all_at(&vec![0; RAW_BYTES as usize], 0).expect("fill");
        file.sync_all().expect("sync");
        let mut at = 0;
        group.bench_function(BenchmarkId::new("pwrite+fdatasync", records), |bencher| {
            bencher.iter(|| {
                file.write_all_at(&bytes, at).expect("write");
                file.sync_data().expect("sync");
                at = (at + bytes.len() as u64) % (RAW_BYTES - bytes.len() as u64);
            });
        });
    }
    group.finish();
}

fn recovery(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recovery");
    group.sample_size(10).throughput(Throughput::Elements(LOG_RECORDS));
    let dir = tempfile::tempdir().expect("directory");
    drop(grown(dir.path(), log_alone()));
    group.bench_function("open and verify", |bencher| {
        bencher.iter(|| DataDir::open(dir.path(), log_alone()).expect("open").report.last);
    });
    let log = DataDir::open_read_only(dir.path()).expect("open").log;
    group.bench_function("read frames", |bencher| {
        bencher.iter(|| {
            let (mut frames, mut frame, mut bytes) = (log.frames(1), Frame::default(), 0);
            while frames.next_into(&mut frame).expect("read") {
                bytes += frame.records().map(|(_, record)| record.len()).sum::<usize>();
            }
            black_box(bytes)
        });
    });
    group.finish();
}

fn feed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("feed");
    group.sample_size(10).throughput(Throughput::Elements(LOG_RECORDS));
    let dir = tempfile::tempdir().expect("directory");
    drop(grown(dir.path(), log_alone()));
    let options = || Options { index, ..Options::default() };
    group.bench_function("rebuild the store", |bencher| {
        bencher.iter_batched(
            || {
                // The store is derived: without it, an opening feeds everything again.
                let log = dir.path().join("log");
                std::fs::remove_dir_all(&log).expect("remove");
            },
            |()| {
                let opened = DataDir::open(dir.path(), options()).expect("open");
                assert!(opened.store.wait_fed(LOG_RECORDS));
            },
            BatchSize::PerIteration,
        );
    });
    let opened = DataDir::open(dir.path(), options()).expect("open");
    assert!(opened.store.wait_fed(LOG_RECORDS));
    group.bench_function("read the store", |bencher| {
        bencher.iter(|| opened.store.read_from(1).map(|frame| frame.expect("read").len()).sum::<usize>());
    });
    group.finish();
}

criterion_group!(benches, appends, recovery, feed);
criterion_main!(benches);
