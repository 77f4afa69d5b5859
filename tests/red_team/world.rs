//! The population of the attacks: a crowd drawn by chance, small cohorts placed by hand, and the victims.
//!
//! Every row belongs to a person, so that a world without somebody is the same world but for one patient.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A value of a row; one that is missing is NULL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Whole(i64),
    Number(f64),
    Flag(bool),
    /// Days since 1970-01-01.
    Day(i32),
}

/// A row of somebody.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) person: String,
    pub(crate) table: &'static str,
    values: Vec<(&'static str, Value)>,
}

impl Row {
    /// The value of a column; `None` is NULL.
    pub(crate) fn get(&self, column: &str) -> Option<&Value> {
        self.values.iter().find(|(name, _)| *name == column).map(|(_, value)| value)
    }

    /// A keyed hash of the person and the row: as an ingest makes it, no other person has a part in it.
    pub(crate) fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.person, self.table, format!("{:?}", self.values)).hash(&mut hasher);
        hasher.finish()
    }
}

/// Who may be missing. Each is crafted for some attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Victim {
    /// The only woman born in 1931; at the upper bounds of weight and tumour.
    Plain,
    /// The tenth of a cohort of ten, in three cells that are at the edge as well.
    Edge,
    /// 5,000 series in a cohort of 40.
    Heavy,
    /// A tumour of 900 mm where 300 are the bound, and a weight that is no number.
    Tall,
    /// Alone in a slice of two series.
    Slice,
    /// The full cap of rows in each of more cells than a patient may be in.
    Full,
    /// The first who was ingested: everybody else's ordinal shifts without him.
    First,
    /// One of four men in a cohort of women.
    Man,
    /// One study with nearly the whole dose.
    Dose,
    /// One of forty who are all smokers.
    Smoker,
    /// The last of a cohort between `k` and the noised threshold.
    Near,
}

impl Victim {
    fn person(self) -> String {
        format!("victim-{self:?}").to_lowercase()
    }
}

/// All rows of all people, in the order in which they were ingested.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) rows: Vec<Row>,
    next: usize,
}

const MODALITIES: &[&str] = &["CT", "CT", "MR", "MR", "MG", "PT"];
const PARTS: &[&str] = &["CHEST", "CHEST", "ABDOMEN", "BREAST"];
const MAKERS: &[&str] = &["Siemens", "GE", "Philips"];

impl World {
    /// Everybody but the heavy victim: he would slow down every question about series.
    pub(crate) fn generate(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut world = Self::default();
        let first = Victim::First.person();
        world.add_person(Person { weight: Some(72.0), ..Person::new(first.clone(), 1940, "MR") });
        world.add_records(&mut random, &first);
        world.add_crowd(&mut random, 260);
        world.add_small_cohorts();
        world.add_edge_cohort();
        world.add_cohorts_of_victims(&mut random);
        world
    }

    /// The same people and the heavy victim.
    pub(crate) fn with_heavy(&self) -> Self {
        let mut world = self.clone();
        let person = Victim::Heavy.person();
        world.add_person(Person::new(person.clone(), 1955, "MR"));
        for _ in 0..5_000 {
            world.add_series(&person, "s", "MR", "LEG", "GE");
        }
        world
    }

    /// The same people without one.
    pub(crate) fn without(&self, victim: Victim) -> Self {
        self.without_person(&victim.person())
    }

    /// The same people without one, by name.
    pub(crate) fn without_person(&self, person: &str) -> Self {
        let rows = self.rows.iter().filter(|r| r.person != person).cloned().collect();
        Self { rows, next: self.next }
    }

    /// The people whose name begins so.
    pub(crate) fn only(&self, start: &str) -> Self {
        let rows = self.rows.iter().filter(|r| r.person.starts_with(start)).cloned().collect();
        Self { rows, next: self.next }
    }

    /// A part of the people, for what does not depend on how many there are.
    pub(crate) fn small(&self) -> Self {
        let of_part =
            |r: &&Row| ["p00", "edge", "victim-edge", "tall", "dose"].iter().any(|s| r.person.starts_with(s));
        Self { rows: self.rows.iter().filter(of_part).cloned().collect(), next: self.next }
    }

    /// Everybody's name, once.
    pub(crate) fn people(&self) -> Vec<String> {
        self.rows.iter().filter(|r| r.table == "patient").map(|r| r.person.clone()).collect()
    }

    fn add(&mut self, person: &str, table: &'static str, values: Vec<(&'static str, Value)>) {
        self.rows.push(Row { person: person.to_owned(), table, values });
    }

    fn add_person(&mut self, person: Person) {
        let Person { name, sex, born, zip, smoker, topography, modality, weight, tumour } = person;
        let mut values = vec![
            ("sex", text(sex)),
            ("birth_year", Value::Whole(born)),
            ("zip3", text(zip)),
            ("age_band", text(if born < 1955 { "old" } else { "young" })),
            ("smoker", Value::Flag(smoker)),
            ("topography", text(topography)),
            ("modality_any", text(modality)),
            ("note", text("seen")),
        ];
        values.extend(weight.map(|w| ("weight_kg", Value::Number(w))));
        values.extend(tumour.map(|t| ("tumour_mm", Value::Whole(t))));
        self.add(&name, "patient", values);
    }

    fn add_condition(&mut self, person: &str, topography: &str, morphology: &str) {
        self.add(
            person,
            "condition",
            vec![
                ("icdo3_topography", text(topography)),
                ("icdo3_morphology", text(morphology)),
                ("diagnosis_date", Value::Day(18_000)),
            ],
        );
    }

    fn add_study(&mut self, person: &str, collection: &str, modality: &str, dose: f64) -> String {
        self.next += 1;
        let uid = format!("2.25.{}", self.next);
        self.add(
            person,
            "imaging_study",
            vec![
                ("study_uid", text(&uid)),
                ("scanner_id", text("scanner-1")),
                ("collection", text(collection)),
                ("modality", text(modality)),
                ("study_time", Value::Day(17_500 + (self.next % 900) as i32)),
                ("dose_mgy", Value::Number(dose)),
                ("weight_kg", Value::Number(70.0)),
            ],
        );
        uid
    }

    fn add_series(&mut self, person: &str, study: &str, modality: &str, part: &str, maker: &str) {
        self.next += 1;
        let uid = text(&format!("2.25.{}", self.next));
        self.add(
            person,
            "imaging_series",
            vec![
                ("study_uid", text(study)),
                ("series_uid", uid),
                ("modality", text(modality)),
                ("body_part", text(part)),
                ("manufacturer", text(maker)),
                ("manufacturer_free_text", text(maker)),
            ],
        );
    }

    fn add_crowd(&mut self, random: &mut ChaCha8Rng, people: usize) {
        for number in 0..people {
            let name = format!("p{number:04}");
            let modality = pick(random, &["MR", "MR", "CT", "MG"]);
            let born = random.random_range(1932..2000);
            let mut person = Person::new(name.clone(), born, modality);
            person.zip = pick(random, &["100", "101", "102", "103"]);
            person.topography = pick(random, &["C34", "C61", "C18"]);
            person.smoker = random.random_bool(0.4);
            person.weight = random.random_bool(0.9).then(|| f64::from(random.random_range(450..1100)) / 10.0);
            person.tumour = random.random_bool(0.9).then(|| random.random_range(5..80));
            if random.random_bool(0.5) {
                person.sex = "male";
            }
            self.add_person(person);
            self.add_records(random, &name);
        }
    }

    fn add_records(&mut self, random: &mut ChaCha8Rng, name: &str) {
        for _ in 0..random.random_range(1..3) {
            let morphology = format!("81{}0/3", random.random_range(0..4));
            self.add_condition(name, pick(random, &["C34.1", "C61.9", "C18.2"]), &morphology);
        }
        for _ in 0..random.random_range(1..3) {
            let modality = pick(random, MODALITIES);
            let dose = f64::from(random.random_range(1..40)) / 10.0;
            let study = self.add_study(name, pick(random, &["c1", "c2"]), modality, dose);
            for _ in 0..random.random_range(1..4) {
                self.add_series(name, &study, modality, pick(random, PARTS), pick(random, MAKERS));
            }
        }
    }

    /// Diagnoses of 3 and of 9 patients, rare morphologies, and 800 series of two patients.
    fn add_small_cohorts(&mut self) {
        for number in 0..9 {
            let name = format!("small-{number}");
            self.add_person(Person::new(name.clone(), 1960, "US"));
            self.add_condition(&name, "C70.1", "8140/3");
            for rare in 0..=number {
                self.add_condition(&name, "C34.1", &format!("99{rare}0/3"));
            }
            if number < 3 {
                self.add_condition(&name, "C38.0", "8140/3");
            }
            for _ in 0..if number < 2 { 400 } else { 0 } {
                self.add_series(&name, "s", "MR", "HEART", "GE");
            }
        }
    }

    /// Nine known people and the victim, alone in a postal code, in a collection and in three modalities.
    fn add_edge_cohort(&mut self) {
        for number in 0..10 {
            let name = if number == 0 { Victim::Edge.person() } else { format!("edge-{number}") };
            self.add_person(Person { zip: "999", ..Person::new(name.clone(), 1950 + number, "XA") });
            for modality in ["X1", "X2", "X3"] {
                self.add_study(&name, "edge", modality, 1.0);
            }
            self.add_condition(&name, "C99.9", "8999/3");
        }
    }

    fn add_cohorts_of_victims(&mut self, random: &mut ChaCha8Rng) {
        let mut plain = Person::new(Victim::Plain.person(), 1931, "MR");
        (plain.weight, plain.tumour, plain.topography) = (Some(300.0), Some(300), "C34");
        self.add_person(plain);
        self.add_records(random, &Victim::Plain.person());
        for number in 0..3 {
            let man = Person { sex: "male", ..Person::new(format!("man-1931-{number}"), 1931, "MR") };
            self.add_person(man);
        }
        self.add_numbers(random);
        self.add_men_and_smokers();
        self.add_series_of_victims();
    }

    /// Cohorts around the victims with unusual numbers.
    fn add_numbers(&mut self, random: &mut ChaCha8Rng) {
        for number in 0..45 {
            let name = if number == 0 { Victim::Tall.person() } else { format!("tall-{number}") };
            let mut person = Person { zip: "200", ..Person::new(name, 1950 + number % 10, "CR") };
            person.tumour = Some(if number == 0 { 900 } else { random.random_range(5..80) });
            person.weight = Some(if number == 0 { f64::NAN } else { 70.0 });
            self.add_person(person);
        }
        for number in 0..22 {
            let name = if number == 0 { Victim::Near.person() } else { format!("near-{number}") };
            self.add_person(Person { zip: "022", ..Person::new(name, 1950 + number % 10, "CR") });
        }
        for number in 0..60 {
            let weight = (number < 3).then_some(70.0);
            self.add_person(Person {
                zip: "400",
                weight,
                ..Person::new(format!("light-{number}"), 1950, "CR")
            });
        }
        for number in 0..60 {
            let name = if number == 0 { Victim::Dose.person() } else { format!("dose-{number}") };
            self.add_person(Person { zip: "300", ..Person::new(name.clone(), 1950 + number % 10, "CT") });
            self.add_study(&name, "dose", "RF", if number == 0 { 5_000.0 } else { 2.0 });
        }
    }

    fn add_men_and_smokers(&mut self) {
        for number in 0..64 {
            let name = if number == 0 { Victim::Man.person() } else { format!("c50-{number}") };
            let mut person = Person::new(name, 1945 + number % 20, "MG");
            (person.topography, person.sex) = ("C50", if number < 4 { "male" } else { "female" });
            self.add_person(person);
        }
        for number in 0..40 {
            let name = if number == 0 { Victim::Smoker.person() } else { format!("smoker-{number}") };
            let mut person = Person::new(name, 2001, "DX");
            (person.sex, person.smoker) = ("male", true);
            self.add_person(person);
        }
    }

    /// A slice of two series, forty with a leg, and a hundred in three of four cells each.
    fn add_series_of_victims(&mut self) {
        let slice = Victim::Slice.person();
        self.add_person(Person::new(slice.clone(), 1952, "MR"));
        for maker in ["GE", "1"] {
            self.add_series(&slice, "s", "MR", "SLICE", maker);
        }
        let full = Victim::Full.person();
        self.add_person(Person::new(full.clone(), 1953, "MR"));
        for number in 0..101 {
            let name = if number == 100 { full.clone() } else { format!("full-{number}") };
            if number < 100 {
                self.add_person(Person::new(name.clone(), 1953, "MR"));
            }
            for part in (0..4).filter(|part| number == 100 || part != &(number % 4)) {
                for _ in 0..if number == 100 { 15 } else { 1 } {
                    self.add_series(&name, "s", "CT", &format!("F{part}"), "GE");
                }
            }
            if number < 40 {
                self.add_series(&name, "s", "MR", "LEG", "GE");
            }
        }
    }
}

/// One row of the patient table.
struct Person {
    name: String,
    sex: &'static str,
    born: i64,
    zip: &'static str,
    smoker: bool,
    topography: &'static str,
    modality: &'static str,
    weight: Option<f64>,
    tumour: Option<i64>,
}

impl Person {
    fn new(name: String, born: i64, modality: &'static str) -> Self {
        let (sex, zip, topography) = ("female", "100", "C18");
        let (weight, tumour) = (Some(70.0), Some(20));
        Self { name, sex, born, zip, smoker: false, topography, modality, weight, tumour }
    }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn pick(random: &mut ChaCha8Rng, values: &[&'static str]) -> &'static str {
    values[random.random_range(0..values.len())]
}
