//! x
fn main() {
    let mut a = std::env::args().skip(1);
    let dir = std::path::PathBuf::from(a.next().unwrap());
    let src = std::path::PathBuf::from(a.next().unwrap());
    let t = std::time::Instant::now();
    let mut r = csv::ReaderBuilder::new().from_path(src.join("measurement.csv")).unwrap();
    let mut rec = csv::ByteRecord::new();
    let mut n = 0u64;
    while r.read_byte_record(&mut rec).unwrap() { n += 1; }
    println!("csv crate alone: {n} rows {:?}", t.elapsed());
    let w = caim_warehouse::Warehouse::create(&dir).unwrap();
    for dry in [true, false] {
        let t = std::time::Instant::now();
        let o = caim_connectors::IngestOptions { dry_run: dry, ..Default::default() };
        let rep = caim_connectors::ingest(&w, &caim_ontology::Models::bundled().unwrap(), &Default::default(), &caim_connectors::Secret::from_bytes([1;32]), &src, &o, &caim_connectors::Quiet).unwrap();
        println!("dry {dry}: {:?}\n{rep}", t.elapsed());
    }
    println!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmHWM")).collect::<String>());
}
