//! Random entries against the definition, tried minute by minute.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// A field as it is written and as it is meant: ranges of values, and a step.
#[derive(Clone, Debug)]
struct Meant {
    ranges: Vec<(u64, u64)>,
    step: Option<u64>,
    /// What `*` stands for.
    all: (u64, u64),
}

impl Meant {
    fn text(&self) -> String {
        let part = |&(low, high): &(u64, u64)| match (low, high) {
            range if range == self.all => "*".to_owned(),
            (low, high) if low == high => low.to_string(),
            (low, high) => format!("{low}-{high}"),
        };
        let list = self.ranges.iter().map(part).collect::<Vec<_>>().join(",");
        self.step
            .map_or_else(|| list.clone(), |step| format!("{list}/{step}"))
    }

    fn selects(&self, value: u64) -> bool {
        let within = self
            .ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&value));
        within && self.step.is_none_or(|step| value.is_multiple_of(step))
    }

    fn selects_all(&self) -> bool {
        (self.all.0..=self.all.1).all(|value| self.selects(value))
    }

    fn selects_nothing(&self) -> bool {
        !(self.all.0..=self.all.1).any(|value| self.selects(value))
    }
}

fn field(low: u64, high: u64, step: u64) -> impl Strategy<Value = Meant> {
    let range = (low..=high, low..=high).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let one = (low..=high).prop_map(|value| (value, value));
    let part = prop_oneof![2 => Just((low, high)), 1 => range, 2 => one];
    (vec(part, 1..4), option::weighted(0.3, 1..=step)).prop_map(move |(ranges, step)| Meant {
        ranges,
        step,
        all: (low, high),
    })
}

/// Whether an entry selects a minute since 1970.
fn selected(fields: &[Meant; 5], minute: u64) -> bool {
    let [minutes, hours, days, months, weekdays] = fields;
    if !minutes.selects(minute % 60) || !hours.selects(minute / 60 % 24) {
        return false;
    }
    let date = shown(minute);
    let part = |index| date.split(['-', ' ']).nth(index).unwrap().parse().unwrap();
    let day = days.selects(part(2));
    let weekday = weekdays.selects((minute / 1440 + 4) % 7);
    let both = !days.selects_all() && !weekdays.selects_all();
    months.selects(part(1)) && if both { day || weekday } else { day && weekday }
}

proptest! {
    #[test]
    fn the_next_time_is_the_first_that_is_selected(
        fields in (
            field(0, 59, 20),
            field(0, 23, 8),
            field(1, 31, 5),
            field(1, 12, 3),
            field(0, 6, 3),
        ),
        // From 2023 to 2029, with a leap year within.
        start in 27_873_000_u64..31_000_000,
        milliseconds in 0_u64..60_000,
        offset in -840_i32..=840,
    ) {
        const MINUTES: u64 = 4 * 1440;
        let fields: [Meant; 5] = fields.into();
        let text = fields.each_ref().map(Meant::text).join(" ");
        let cron = Cron::parse(&text);
        if fields.iter().any(Meant::selects_nothing) {
            prop_assert!(cron.is_err(), "{}", text);
            return Ok(());
        }
        let local = |minute: u64| minute.checked_add_signed(offset.into()).unwrap();
        let expected = (start + 1..=start + MINUTES).find(|minute| selected(&fields, local(*minute)));
        let found = cron.unwrap().next_after(Timestamp(start * 60_000 + milliseconds), offset);
        let found = found.map(|found| found.0 / 60_000);
        if expected.is_some() {
            prop_assert_eq!(found, expected, "{}", text);
        } else {
            let later = found.is_none_or(|found| {
                found > start + MINUTES && selected(&fields, local(found))
            });
            prop_assert!(later, "{}: {:?}", text, found);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}|[0-9*?,/ -]{0,300}", after: u64, offset: i32) {
        match Cron::parse(&text) {
            Ok(cron) => {
                let found = cron.next_after(Timestamp(after), offset);
                prop_assert!(found.is_none_or(|found| found.0 > after));
            }
            Err(error) => prop_assert!(error.to_string().contains("found") || text.len() > 256),
        }
    }

    #[test]
    fn any_instant_has_a_next_minute(
        numbers in vec("[0-9*?]{1,2}(-[0-9]{1,2})?(/[0-9]{1,2})?", 5),
        after: u64,
        offset: i32,
    ) {
        if let Ok(cron) = Cron::parse(&numbers.join(" ")) {
            let found = cron.next_after(Timestamp(after), offset);
            prop_assert!(found.is_none_or(|found| found.0 > after));
        }
    }
}
