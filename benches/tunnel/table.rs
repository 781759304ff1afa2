//! Figures as they come, and the table of their medians.

use std::collections::HashMap;

use super::lab::Kind;

/// A kind of figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// What is measured, with its unit.
    pub name: &'static str,
    /// What is wanted of it.
    pub target: Target,
}

/// What is wanted of a figure of the bridge's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// It is only told.
    None,
    /// At most this.
    Most(f64),
    /// At most so many times the best tunnel's.
    RatioMost(f64),
    /// At least so many times the best tunnel's.
    RatioLeast(f64),
}

/// All figures so far.
#[derive(Default)]
pub struct Table {
    rows: Vec<(Figure, HashMap<Kind, Vec<f64>>)>,
}

impl Table {
    /// Adds one.
    pub fn add(&mut self, name: &'static str, target: Target, kind: Kind, value: f64) {
        eprintln!("  {name}: {} {}", kind.name(), brief(value));
        let at = self.rows.iter().position(|(figure, _)| figure.name == name).unwrap_or_else(|| {
            self.rows.push((Figure { name, target }, HashMap::new()));
            self.rows.len() - 1
        });
        self.rows[at].1.entry(kind).or_default().push(value);
    }

    /// In Markdown: medians, between which they lay, and the ratio to the better tunnel.
    pub fn print(&self, kinds: &[Kind]) {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        println!("| | {} | ratio | wanted | |", names.join(" | "));
        println!("| --- |{}", " ---: |".repeat(kinds.len() + 2) + " --- |");
        for (figure, values) in &self.rows {
            let cells: Vec<String> =
                kinds.iter().map(|kind| values.get(kind).map_or("–".to_owned(), |all| cell(all))).collect();
            let ratio = ratio(figure.target, values);
            let shown = ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
            let (wanted, verdict) = verdict(figure.target, values, ratio);
            println!("| {} | {} | {shown} | {wanted} | {verdict} |", figure.name, cells.join(" | "));
        }
    }
}

/// The bridge's median by that of the tunnel that is better at it.
fn ratio(target: Target, values: &HashMap<Kind, Vec<f64>>) -> Option<f64> {
    let ours = median(values.get(&Kind::Bridge)?);
    let tunnels = values.iter().filter(|(kind, _)| kind.is_tunnel()).map(|(_, all)| median(all));
    let best = if matches!(target, Target::RatioLeast(_)) {
        tunnels.fold(f64::NAN, f64::max)
    } else {
        tunnels.fold(f64::NAN, f64::min)
    };
    (best > 0.0).then(|| ours / best)
}

fn verdict(target: Target, values: &HashMap<Kind, Vec<f64>>, ratio: Option<f64>) -> (String, &'static str) {
    let ours = values.get(&Kind::Bridge).map(|all| median(all));
    let (wanted, met) = match target {
        Target::None => return (String::new(), ""),
        Target::Most(most) => (format!("≤ {}", brief(most)), ours.map(|ours| ours <= most)),
        Target::RatioMost(most) => (format!("≤ {most:.2}×"), ratio.map(|ratio| ratio <= most)),
        Target::RatioLeast(least) => (format!("≥ {least:.2}×"), ratio.map(|ratio| ratio >= least)),
    };
    let verdict = match met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "",
    };
    (wanted, verdict)
}

fn cell(values: &[f64]) -> String {
    let of_all = |pick: fn(f64, f64) -> f64| values.iter().copied().fold(f64::NAN, pick);
    match values {
        [one] => brief(*one),
        _ => {
            format!("{} ({}–{})", brief(median(values)), brief(of_all(f64::min)), brief(of_all(f64::max)))
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// Three digits that count.
fn brief(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
