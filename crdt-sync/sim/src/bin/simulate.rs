//! Runs many seeds and says at which of them a promise was broken.
fn main() {
    let mut args = std::env::args().skip(1);
    let a: u64 = args.next().and_then(|x| x.parse().ok()).unwrap_or(0);
    let b: u64 = args.next().and_then(|x| x.parse().ok()).unwrap_or(10);
    let mode = args.next().unwrap_or_default();
    let verbose = args.next().is_some();
    let mut plan = if mode == "peace" { crdt_sync_sim::Plan::peaceful() } else { crdt_sync_sim::Plan::hostile() };
    plan.verbose = verbose;
    let mut kinds = std::collections::BTreeMap::<String, (u64, u64)>::new();
    let mut ok = 0;
    for seed in a..b {
        match crdt_sync_sim::simulate(seed, &plan) {
            Ok(r) => { ok += 1; if b - a <= 20 { println!("{seed} ok {r:?}"); } }
            Err(f) => {
                for l in &f.trace { println!("{l}"); }
                let t = f.to_string();
                if b - a <= 20 { println!("{t}"); }
                let k = format!("{:?}", f.violation); let k = k.split(|c: char| c==' '||c=='{').next().unwrap_or("").to_string();
                let e = kinds.entry(k).or_default(); e.0 += 1; e.1 = seed;
            }
        }
    }
    println!("ok {ok} {kinds:?}");
}
