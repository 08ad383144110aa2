//! What a sketch costs each symbol, and what reading the differences costs.
//!
//! On a loaded machine of two cores criterion's means are several times what the work takes. The least times there, by
//! loops over the same calls outside of criterion: a sketch of 1,000 cells in one pass 99 ns per symbol, of 16,384
//! cells 130 ns (of 5,000 symbols, best of 100); one leaf set 133 and 163 ns, both of its hashes included (best of
//! 100); decoding 100, 1,000 and 10,000 differences 23, 307 and 4,220 us, of leaves 18, 237 and 3,340 us (best of 90).
//! At 10,000 the best of 30 was between 4.2 and 8.1 ms from one run to the next.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use crdt_sync::sketch::{Cell, Chance, Decoder, Encoder, LeafSketch, Salt, Sketch, Symbol, cells_for};

const CELLS: [usize; 2] = [1_000, 16_384];

fn encoding(criterion: &mut Criterion) {
    let salt = Salt::new([7; 16]);
    let symbols = symbols(&salt, 100_000);
    let mut group = criterion.benchmark_group("sketch of 100,000 symbols");
    group.throughput(Throughput::Elements(symbols.len() as u64)).sample_size(20);
    for cells in CELLS {
        group.bench_function(BenchmarkId::new("cells in one pass", cells), |bencher| {
            bencher.iter(|| Sketch::from_symbols(&salt, cells, symbols.iter().copied()));
        });
        group.bench_function(BenchmarkId::new("further cells, from half", cells), |bencher| {
            let mut half = Encoder::new(&salt, symbols.iter().copied());
            half.produce(cells / 2).expect("so many cells are allowed");
            bencher.iter_batched_ref(|| half.clone(), |half| half.produce(cells / 2), BatchSize::LargeInput);
        });
    }
}

fn upkeep(criterion: &mut Criterion) {
    const LEAVES: u32 = 1 << 16;
    let salt = Salt::new([7; 16]);
    let mut group = criterion.benchmark_group("leaf sketch");
    for cells in CELLS {
        let mut sketch = LeafSketch::new(&salt, LEAVES, cells).expect("so many cells are allowed");
        let mut write = 0_u32;
        group.bench_function(BenchmarkId::new("set, cells", cells), |bencher| {
            bencher.iter(|| {
                write = write.wrapping_add(0x9e37_79b9);
                sketch.set(write % LEAVES, u128::from(write), 1).expect("the leaf exists");
            });
        });
    }
}

fn decoding(criterion: &mut Criterion) {
    let salt = Salt::new([7; 16]);
    let mut group = criterion.benchmark_group("sketch with differences");
    for differences in [1, 100, 10_000] {
        let cells = decodable(&salt, differences);
        group.throughput(Throughput::Elements(u64::from(differences)));
        group.bench_function(BenchmarkId::new("decode", differences), |bencher| {
            bencher.iter(|| {
                let mut decoder = Decoder::new(&salt, cells.len());
                decoder.push(cells.iter().copied()).expect("the cells are genuine");
                decoder.finish().expect("the cells are enough")
            });
        });
    }
}

/// As many cells as it is sensible to ask for.
fn decodable(salt: &Salt, differences: u32) -> Vec<Cell> {
    let cells = cells_for(u64::from(differences), Chance::NinetyNineInHundred);
    let sketch = Sketch::from_symbols(salt, cells, symbols(salt, differences)).expect("so many are allowed");
    sketch.cells().to_vec()
}

fn symbols(salt: &Salt, count: u32) -> Vec<Symbol> {
    (0..count).map(|key| salt.symbol(&key.to_le_bytes(), 1)).collect()
}

criterion_group!(benches, encoding, upkeep, decoding);
criterion_main!(benches);
