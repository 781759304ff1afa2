//! Figures as they come, and the table of their medians.

use std::{collections::HashMap, fmt::Write as _};

use super::{
    figures::{Better, Figure, Part, Section, Target, brief},
    lab::Kind,
};

/// The most letters of a failure that a cell holds.
const REASON: usize = 60;

/// All figures so far.
#[derive(Default)]
pub struct Table {
    /// Whether the extent is the one that what is wanted is meant for.
    in_full: bool,
    cells: HashMap<(&'static str, Kind), Cell>,
}

/// What is known of a figure of one kind.
#[derive(Default)]
struct Cell {
    values: Vec<f64>,
    /// What was different from the others.
    note: Option<String>,
    /// Why there is nothing, or nothing more.
    failure: Option<String>,
}

impl Table {
    /// A table of a full run, or of a shorter one, in which only ratios are judged.
    pub fn new(in_full: bool) -> Self {
        Self { in_full, ..Self::default() }
    }

    /// Adds a figure.
    pub fn add(&mut self, figure: &'static Figure, kind: Kind, value: f64) {
        eprintln!("  {}: {} {}", figure.name, kind.name(), brief(value));
        self.cells.entry((figure.name, kind)).or_default().values.push(value);
    }

    /// Adds what was different for one kind.
    pub fn note(&mut self, part: Part, kind: Kind, note: &str) {
        for figure in part {
            self.cells.entry((figure.name, kind)).or_default().note = Some(note.to_owned());
        }
    }

    /// Notes why some figures of a kind are missing.
    pub fn fail(&mut self, part: Part, kind: Kind, why: &str) {
        eprintln!("  {}: {} FAILED: {why}", part[0].name, kind.name());
        for figure in part {
            self.cells.entry((figure.name, kind)).or_default().failure = Some(why.to_owned());
        }
    }

    /// Whether some figures of a kind are known to be missing.
    pub fn has_failed(&self, part: Part, kind: Kind) -> bool {
        self.cells.get(&(part[0].name, kind)).is_some_and(|cell| cell.failure.is_some())
    }

    /// What failed of a kind, each with its reason.
    pub fn failures(&self, kind: Kind) -> Vec<String> {
        let failed = self.cells.iter().filter(|((_, of), _)| *of == kind);
        let mut all: Vec<String> = failed
            .filter_map(|((name, _), cell)| Some(format!("{name}: {}", cell.failure.as_ref()?)))
            .collect();
        all.sort();
        all
    }

    /// The median of a kind's figures.
    pub fn median(&self, figure: &Figure, kind: Kind) -> Option<f64> {
        let values = &self.cells.get(&(figure.name, kind))?.values;
        (!values.is_empty()).then(|| median(values))
    }

    /// In Markdown: medians, between which they lay, the ratio to the better tunnel, and what limits the figure.
    pub fn text(&self, sections: &[&Section], kinds: &[Kind]) -> String {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let mut text = format!("| figure | {} | ratio | wanted | | limited by |\n", names.join(" | "));
        let _ = writeln!(text, "| --- |{} --- | --- |", " ---: |".repeat(kinds.len() + 2));
        for figure in sections.iter().flat_map(|section| section.parts.iter().copied().flatten()) {
            let cells: Vec<String> = kinds.iter().map(|&kind| self.cell(figure, kind)).collect();
            let ratio = self.ratio(figure);
            let shown = ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
            let wanted = figure.wanted();
            let verdict = self.verdict(figure, ratio);
            let (name, cells, limit) = (figure.name, cells.join(" | "), figure.limit);
            let _ = writeln!(text, "| {name} | {cells} | {shown} | {wanted} | {verdict} | {limit} |");
        }
        text
    }

    fn cell(&self, figure: &Figure, kind: Kind) -> String {
        let Some(cell) = self.cells.get(&(figure.name, kind)) else { return "–".to_owned() };
        let values = match &cell.values[..] {
            [] => None,
            [one] => Some(brief(*one)),
            values => {
                let of_all = |pick: fn(f64, f64) -> f64| brief(values.iter().copied().fold(f64::NAN, pick));
                Some(format!("{} ({}–{})", brief(median(values)), of_all(f64::min), of_all(f64::max)))
            }
        };
        let failure = cell.failure.as_ref().map(|why| {
            let why = why.lines().next().unwrap_or_default().replace('|', "/");
            why.chars().take(REASON).collect::<String>()
        });
        let parts: Vec<String> = [values, cell.note.clone(), failure].into_iter().flatten().collect();
        parts.join(", ")
    }

    /// The bridge's median by that of the tunnel that is better at it.
    fn ratio(&self, figure: &Figure) -> Option<f64> {
        let ours = self.median(figure, Kind::Bridge)?;
        let tunnels = Kind::ALL.into_iter().filter(|kind| kind.is_tunnel());
        let tunnels = tunnels.filter_map(|kind| self.median(figure, kind));
        let best = match figure.better {
            Better::Higher => tunnels.fold(f64::NAN, f64::max),
            Better::Lower => tunnels.fold(f64::NAN, f64::min),
        };
        (best > 0.0).then(|| ours / best)
    }

    fn verdict(&self, figure: &Figure, ratio: Option<f64>) -> &'static str {
        let ours = self.median(figure, Kind::Bridge);
        let met = match figure.target {
            Target::None => return "",
            Target::Most(_) | Target::Least(_) if !self.in_full => return "",
            Target::Most(most) => ours.map(|ours| ours <= most),
            Target::Least(least) => ours.map(|ours| ours >= least),
            Target::Ratio(wanted) => ratio.map(|ratio| match figure.better {
                Better::Higher => ratio >= wanted,
                Better::Lower => ratio <= wanted,
            }),
        };
        match met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}
