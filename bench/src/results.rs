//! What was measured so far, by name, for example `postgres/provision/64`.

use std::collections::BTreeMap;

use crate::load::Measured;

/// Everything that a run measured.
pub struct Results {
    only: Vec<String>,
    runs: Vec<(String, Measured)>,
    numbers: BTreeMap<String, f64>,
}

impl Results {
    /// Nothing yet; `only` chooses what is run, everything if it is empty.
    pub fn new(only: &[String]) -> Self {
        Self { only: only.to_vec(), runs: Vec::new(), numbers: BTreeMap::new() }
    }

    /// Whether a run of this name is asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }

    /// Whether anything below this name is asked for, or was asked for by a part of it.
    pub fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name) || self.only.iter().any(|part| part.starts_with(name)))
    }

    /// Keeps a run, and shows it.
    pub fn add(&mut self, name: &str, measured: Measured) {
        let [service, database, load] = measured.cpu_us;
        println!(
            "{name:<36} {:>9.0}/s   p50 {:>7} us   p99 {:>8} us   cpu {service:.0}+{database:.0}+{load:.0} us   {} MB{}{}",
            measured.per_second,
            measured.p50_us,
            measured.p99_us,
            measured.memory / 1_000_000,
            match measured.refused_per_second {
                0.0 => String::new(),
                refused => format!("   refused {refused:.0}/s"),
            },
            if measured.failures.is_empty() { String::new() } else { format!("   FAILED {:?}", measured.failures) },
        );
        self.runs.push((name.to_owned(), measured));
    }

    /// Keeps a number, and shows it.
    pub fn note(&mut self, name: &str, number: f64) {
        println!("{name:<36} {number:>9.1}");
        self.numbers.insert(name.to_owned(), number);
    }

    /// All runs, in the order in which they were made.
    pub fn runs(&self) -> &[(String, Measured)] {
        &self.runs
    }

    /// A run of this name.
    pub fn run(&self, name: &str) -> Option<&Measured> {
        self.runs.iter().rfind(|(known, _)| known == name).map(|(_, measured)| measured)
    }

    /// The rate of a run.
    pub fn rate(&self, name: &str) -> Option<f64> {
        self.run(name).map(|measured| measured.per_second)
    }

    /// All numbers, by name.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, f64)> {
        self.numbers.iter().map(|(name, number)| (name.as_str(), *number))
    }

    /// A number of this name.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }

    /// The best rate among the runs whose names begin so.
    pub fn best(&self, prefix: &str) -> Option<f64> {
        let rates = self.runs.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, run)| run.per_second);
        rates.reduce(f64::max)
    }

    /// How many answers nobody expected.
    pub fn failures(&self) -> usize {
        self.runs.iter().map(|(_, run)| run.failures.len()).sum()
    }
}
