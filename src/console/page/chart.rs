//! The sign-ins of an hour as bars.

use super::super::desk::Minute;

/// How high the picture is, and how far a minute is from the next.
const HEIGHT: u64 = 98;
const STEP: usize = 10;

/// Bars for minutes, from the left to the right.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    /// What the highest stands for; at least 1.
    pub(super) top: u64,
    /// All that were good.
    pub(super) good: u64,
    /// All that were not.
    pub(super) refused: u64,
    /// The same for who cannot see it.
    pub(super) summary: String,
}

/// A minute: those that were refused on top of those that were good.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) good_y: u64,
    pub(super) good_height: u64,
    pub(super) refused_y: u64,
    pub(super) refused_height: u64,
}

impl Chart {
    pub(super) fn of(minutes: &[Minute]) -> Self {
        let sum = |minute: &Minute| minute.good.saturating_add(minute.refused);
        let top = minutes.iter().map(sum).max().unwrap_or_default().max(1);
        let total = |count: fn(&Minute) -> u64| minutes.iter().map(count).fold(0, u64::saturating_add);
        let (good, refused) = (total(|minute| minute.good), total(|minute| minute.refused));
        let summary = format!(
            "Within the last hour {good} sign-ins were good and {refused} were refused, at most {top} in a minute."
        );
        let bars = minutes.iter().enumerate().map(|(at, minute)| Bar::of(at, *minute, top)).collect();
        Self { bars, top, good, refused, summary }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.good == 0 && self.refused == 0
    }
}

impl Bar {
    fn of(at: usize, minute: Minute, top: u64) -> Self {
        // What there is can be seen, however little of the whole it is.
        let height = |count: u64| match count {
            0 => 0,
            some => scaled(some, top).max(3),
        };
        let (good_height, refused_height) = (height(minute.good), height(minute.refused));
        let good_height = good_height.min((HEIGHT + 1).saturating_sub(refused_height));
        let good_y = HEIGHT + 1 - good_height;
        let refused_y = good_y.saturating_sub(refused_height);
        Self { x: at * STEP + 1, good_y, good_height, refused_y, refused_height }
    }
}

fn scaled(count: u64, top: u64) -> u64 {
    let scaled = u128::from(count) * u128::from(HEIGHT) / u128::from(top.max(1));
    u64::try_from(scaled).unwrap_or(HEIGHT).min(HEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_minute_fills_the_picture_and_the_least_is_seen() {
        let minutes = [(0, 0), (1000, 0), (500, 500), (0, 1)].map(|(good, refused)| Minute { good, refused });
        let chart = Chart::of(&minutes);
        assert_eq!((chart.top, chart.good, chart.refused), (1000, 1500, 501));
        assert!(chart.summary.contains("1500 sign-ins were good and 501 were refused"));
        let bars: Vec<_> =
            chart.bars.iter().map(|bar| (bar.x, bar.good_height, bar.refused_height)).collect();
        assert_eq!(bars, [(1, 0, 0), (11, 98, 0), (21, 49, 49), (31, 0, 3)]);
        assert_eq!((chart.bars[2].good_y, chart.bars[2].refused_y), (50, 1));
        for bar in &chart.bars {
            assert!(bar.good_y + bar.good_height == 99 && bar.refused_y + bar.refused_height == bar.good_y);
        }
    }

    #[test]
    fn an_hour_in_which_nothing_happens_is_empty_and_no_number_is_too_large() {
        assert!(Chart::of(&[]).is_empty() && Chart::of(&[Minute::default(); 60]).is_empty());
        let chart = Chart::of(&[Minute { good: u64::MAX, refused: 1 }]);
        assert!(chart.bars[0].good_height + chart.bars[0].refused_height <= 99);
    }
}
