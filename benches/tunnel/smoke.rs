//! Whether a short measurement shows what every one must show, whatever the machine: no figure that is a time.

use super::{
    figures::{self, Figure, Section},
    lab::Kind,
    sections::Extent,
    table::Table,
};

/// What is wrong with it.
pub fn judge(table: &Table, sections: &[&'static Section], extent: &Extent) -> Vec<String> {
    let mut wrong = Vec::new();
    for kind in [Kind::Bridge, Kind::Haproxy] {
        wrong.extend(table.failures(kind).into_iter().map(|why| format!("{}: {why}", kind.name())));
    }
    let parts = sections.iter().flat_map(|section| section.parts.iter().copied());
    for figure in parts.flatten().filter(|figure| table.median(figure, Kind::Bridge).is_none()) {
        wrong.push(format!("{}: no figure of the bridge", figure.name));
    }
    for section in sections {
        wrong.extend(match section.name {
            "trips" => trips(table),
            "many" => many(table, extent),
            _ => None,
        });
    }
    wrong
}

fn trips(table: &Table) -> Option<String> {
    let [trips, _] = &figures::TRIPS;
    let [ours, tunnel] = [Kind::Bridge, Kind::Haproxy].map(|kind| table.median(trips, kind));
    (ours != tunnel).then(|| format!("{}: {} where haproxy has {}", trips.name, shown(ours), shown(tunnel)))
}

fn many(table: &Table, extent: &Extent) -> Option<String> {
    let [sessions, descriptors, ..]: &[Figure; 5] = &figures::MANY;
    let held = table.median(sessions, Kind::Bridge);
    #[expect(clippy::cast_precision_loss, reason = "nobody counts that far")]
    let (wanted, most) = (extent.held as f64, extent.descriptors as f64);
    if held != Some(wanted) {
        return Some(format!("{}: {} of {wanted}", sessions.name, shown(held)));
    }
    let open = table.median(descriptors, Kind::Bridge);
    open.filter(|open| *open >= most).map(|open| format!("{}: {open} of {most}", descriptors.name))
}

fn shown(figure: Option<f64>) -> String {
    figure.map_or("nothing".to_owned(), |figure| figure.to_string())
}
