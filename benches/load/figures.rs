//! Figures for the report: the measured values, what they are compared with, and how much the rounds differ.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::median;

/// The figures of one bench.
pub struct Figures {
    /// The bench's name.
    bench: &'static str,
    title: &'static str,
    rows: Vec<Value>,
}

impl Figures {
    pub fn new(bench: &'static str, title: &'static str) -> Self {
        Self { bench, title, rows: Vec::new() }
    }

    /// Adds a figure: its unit, its value in each round, and what it is compared with, with that value in each round (or one
    /// for all).
    pub fn add(&mut self, name: &str, unit: &str, rounds: &[f64], (beside, others): (&str, &[f64])) {
        let ratios = rounds.iter().enumerate().map(|(i, value)| value / others[i.min(others.len() - 1)]);
        let round = |value: f64| (value * 100.0).round() / 100.0;
        self.rows.push(json!({
            "name": name,
            "unit": unit,
            "median": round(median(rounds.to_vec())),
            "lowest": round(rounds.iter().copied().fold(f64::INFINITY, f64::min)),
            "highest": round(rounds.iter().copied().fold(0.0, f64::max)),
            "rounds": rounds.len(),
            "beside": beside,
            "its_median": round(median(others.to_vec())),
            "ratio": round(median(ratios.collect())),
        }));
    }

    /// Saves them for the report.
    pub fn keep(self) {
        fs::create_dir_all(kept()).unwrap();
        let report = json!({"bench": self.bench, "title": self.title, "figures": self.rows});
        fs::write(kept().join(format!("{}.json", self.bench)), report.to_string()).unwrap();
    }
}

/// The folder of the saved figures.
pub fn kept() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("figures")
}
