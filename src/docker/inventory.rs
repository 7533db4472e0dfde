//! The containers of one Engine as last seen, put together for those who read them.
//!
//! The watch loop alone writes; readers get a finished [`Snapshot`] and never wait for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::reading::Row;
use super::self_detection::SelfHints;
use crate::domain::inventory::{Container, Containers, Guard, Health, ProtectionRules, SelfDetection};

/// What changed between two snapshots, by the keys of pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) stacks: BTreeSet<String>,
    pub(super) containers: BTreeSet<String>,
    /// Some came or went.
    pub(super) list: bool,
}

/// The containers of one Engine, by Docker id.
#[derive(Debug)]
pub(super) struct InventoryBuilder {
    guard: Guard,
    hints: SelfHints,
    containers: HashMap<String, Arc<Container>>,
    /// Those of which the last inspect failed: what is said of them is old.
    doubtful: BTreeSet<String>,
    itself: SelfDetection,
    shield: ProtectionRules,
    /// Ids whose entry changed since the last snapshot.
    fresh: BTreeSet<String>,
    changed: Changed,
}

impl InventoryBuilder {
    pub(super) fn new(guard: Guard, hints: SelfHints) -> Self {
        let itself = if hints.contained { SelfDetection::Unknown } else { SelfDetection::OutsideDocker };
        Self {
            guard,
            hints,
            containers: HashMap::new(),
            doubtful: BTreeSet::new(),
            itself,
            shield: ProtectionRules::default(),
            fresh: BTreeSet::new(),
            changed: Changed::default(),
        }
    }

    /// The ids that a list shows to be unknown, doubtful, or not as they were; `now` by the Engine's clock.
    pub(super) fn differing<'a>(&self, rows: &'a [Row], now: jiff::Timestamp) -> Vec<&'a Row> {
        rows.iter()
            .filter(|row| {
                self.doubtful.contains(&row.id)
                    || self.containers.get(&row.id).is_none_or(|known| !row.agrees(known, now))
            })
            .collect()
    }

    /// Drops what the list no longer shows, except what `spare` names: it came up while the list was made.
    pub(super) fn keep_only(&mut self, rows: &[Row], spare: &BTreeSet<String>) {
        let listed: std::collections::HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let gone: Vec<String> = self
            .containers
            .keys()
            .filter(|id| !listed.contains(id.as_str()) && !spare.contains(*id))
            .cloned()
            .collect();
        for id in gone {
            self.remove(&id);
        }
    }

    /// Takes in what inspect said `now`, by our clock.
    pub(super) fn put(&mut self, mut container: Container, now: jiff::Timestamp) {
        self.doubtful.remove(&container.id);
        if container.health == Health::Unhealthy
            && let Some(known) = self.containers.get(&container.id)
        {
            let is_new = known.health != Health::Unhealthy || known.started_at != container.started_at;
            container.unhealthy_since = if is_new { Some(now) } else { known.unhealthy_since };
        }
        self.insert(container);
    }

    /// Takes in what a row said, because inspect failed: the state it shows, and the rest as known before. The next
    /// list has it inspected again.
    pub(super) fn put_doubtful(&mut self, row: &Row, host: &crate::domain::ids::HostId) {
        self.doubtful.insert(row.id.clone());
        if !self.containers.contains_key(&row.id) {
            self.insert(row.to_container(host));
        }
    }

    /// Its last inspect failed: the next list has it inspected again.
    pub(super) fn doubt(&mut self, id: &str) {
        self.doubtful.insert(id.to_owned());
    }

    fn insert(&mut self, mut container: Container) {
        if let Some(known) = self.containers.get(&container.id) {
            container.protection.clone_from(&known.protection);
            if **known == container {
                return;
            }
            let known = Arc::clone(known);
            self.note(&known);
        } else {
            self.changed.list = true;
        }
        self.note(&container);
        self.fresh.insert(container.id.clone());
        self.containers.insert(container.id.clone(), Arc::new(container));
    }

    /// It is gone.
    pub(super) fn remove(&mut self, id: &str) {
        self.doubtful.remove(id);
        if let Some(known) = self.containers.remove(id) {
            self.note(&known);
            self.changed.list = true;
            self.fresh.insert(id.to_owned());
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<Container>> {
        self.containers.get(id)
    }

    fn note(&mut self, container: &Container) {
        match container.stack() {
            Some(stack) => {
                self.changed.stacks.insert(crate::domain::target::key(&container.host, stack));
            }
            None => {
                self.changed.containers.insert(container.key());
            }
        }
    }

    /// What changed since the last call, with protections brought up to date; `None` where nothing did.
    pub(super) fn snapshot(&mut self, guard: Guard) -> Option<Snapshot> {
        if self.fresh.is_empty() && guard == self.guard {
            return None;
        }
        self.guard = guard;
        self.itself = self.find_itself();
        let shield =
            ProtectionRules::new(&self.guard, &self.itself, &self.containers.values().map(AsRef::as_ref));
        let look_at: Vec<String> = if shield == self.shield {
            self.fresh.iter().cloned().collect()
        } else {
            self.containers.keys().cloned().collect()
        };
        self.shield = shield;
        self.fresh.clear();
        for id in look_at {
            let Some(container) = self.containers.get(&id) else { continue };
            let protection = self.shield.reason(container);
            if protection != container.protection {
                let shielded = Container { protection, ..(**container).clone() };
                self.note(&shielded);
                self.containers.insert(id, Arc::new(shielded));
            }
        }
        let mut containers: Vec<Arc<Container>> = self.containers.values().cloned().collect();
        containers.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
        Some(Snapshot {
            containers: Arc::new(containers.into_iter().collect()),
            itself: self.itself.clone(),
            shield: self.shield.clone(),
            changed: std::mem::take(&mut self.changed),
        })
    }

    /// Which container this process runs in. Once found it stays that one: what comes later is another.
    fn find_itself(&self) -> SelfDetection {
        match &self.itself {
            SelfDetection::Container(id) if self.containers.contains_key(id) => self.itself.clone(),
            _ => self.hints.recognise(&self.containers.values().map(AsRef::as_ref)),
        }
    }

    /// The containers whose logs tell which of them this process runs in; empty where that is known.
    pub(super) fn suspects(&self) -> BTreeSet<String> {
        match &self.itself {
            SelfDetection::OneOf(ids) if !self.hints.mark.is_empty() => ids.clone(),
            _ => BTreeSet::new(),
        }
    }

    /// A log told that this process runs in that container.
    pub(super) fn recognised(&mut self, id: &str) {
        self.itself = SelfDetection::Container(id.to_owned());
        self.fresh.insert(id.to_owned());
    }
}

/// A finished picture for readers.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) containers: Arc<Containers>,
    pub(super) itself: SelfDetection,
    pub(super) shield: ProtectionRules,
    pub(super) changed: Changed,
}

/// Which inspects run, and which of them must run again because something happened in between.
#[derive(Debug, Default)]
pub(super) struct Pending(BTreeMap<String, bool>);

impl Pending {
    /// Asks for an inspect; whether to start one now.
    pub(super) fn ask(&mut self, id: &str) -> bool {
        match self.0.get_mut(id) {
            Some(again) => {
                *again = true;
                false
            }
            None => {
                self.0.insert(id.to_owned(), false);
                true
            }
        }
    }

    /// One is done; whether to start it again.
    pub(super) fn done(&mut self, id: &str) -> bool {
        if self.0.remove(id) == Some(true) { self.ask(id) } else { false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::answers;
    use crate::domain::ids::HostId;
    use crate::domain::inventory::Protection;
    use crate::domain::inventory::tests::{container, in_stack};

    fn book(hints: SelfHints) -> InventoryBuilder {
        InventoryBuilder::new(Guard::default(), hints)
    }

    fn outside() -> SelfHints {
        SelfHints::default()
    }

    #[test]
    fn a_snapshot_names_what_changed_and_nothing_else() {
        let mut book = book(outside());
        book.put(in_stack("media", "web"), jiff::Timestamp::UNIX_EPOCH);
        book.put(container("loose"), jiff::Timestamp::UNIX_EPOCH);
        let first = book.snapshot(Guard::default()).expect("it changed");
        assert_eq!((first.changed.stacks.len(), first.changed.containers.len()), (1, 1));
        assert_eq!(
            first.containers.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
            ["loose", "media-web-1"]
        );
        assert!(first.changed.list);
        book.put(container("loose"), jiff::Timestamp::UNIX_EPOCH);
        assert!(book.snapshot(Guard::default()).is_none(), "the same again is no change");
        book.put(
            Container { status: "Up 2 hours".to_owned(), ..container("loose") },
            jiff::Timestamp::UNIX_EPOCH,
        );
        assert!(!book.snapshot(Guard::default()).expect("it changed").changed.list, "none came or went");
        book.remove(&container("loose").id);
        let third = book.snapshot(Guard::default()).expect("it changed");
        assert_eq!(third.changed.containers, BTreeSet::from([container("loose").key()]));
        assert!(third.changed.stacks.is_empty() && third.changed.list);
    }

    #[test]
    fn itself_is_the_container_the_engine_knows() {
        let me = container("docknap");
        let hints = SelfHints {
            named: vec!["f".repeat(64), me.id.clone()],
            contained: true,
            mark: "word".to_owned(),
            ..SelfHints::default()
        };
        let mut book = book(hints);
        book.put(container("other"), jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(book.snapshot(Guard::default()).expect("it changed").itself, SelfDetection::Unknown);
        book.put(me.clone(), jiff::Timestamp::UNIX_EPOCH);
        let snapshot = book.snapshot(Guard::default()).expect("it changed");
        assert_eq!(snapshot.itself, SelfDetection::Container(me.id.clone()));
        let shown = snapshot.containers.iter().find(|one| one.name == "docknap").expect("it is there");
        assert_eq!(shown.protection, Some(Protection::Itself));
        book.put(
            Container { network_mode: format!("container:{}", me.id), ..container("late") },
            jiff::Timestamp::UNIX_EPOCH,
        );
        let later = book.snapshot(Guard::default()).expect("it changed");
        assert_eq!(later.itself, SelfDetection::Container(me.id), "what comes later is another");
        assert!(book.suspects().is_empty());
    }

    #[test]
    fn a_log_tells_which_of_those_that_share_a_network() {
        let vpn = container("vpn");
        let me = Container { network_mode: format!("container:{}", vpn.id), ..container("docknap") };
        let mark = "word".to_owned();
        let hints = SelfHints { named: vec![vpn.id.clone()], contained: true, mark, ..SelfHints::default() };
        let mut book = book(hints);
        book.put(vpn.clone(), jiff::Timestamp::UNIX_EPOCH);
        book.put(me.clone(), jiff::Timestamp::UNIX_EPOCH);
        book.put(container("other"), jiff::Timestamp::UNIX_EPOCH);
        let protections = |snapshot: Snapshot| {
            let told = snapshot.containers.iter().map(|one| (one.name.clone(), one.protection.clone()));
            told.collect::<BTreeMap<_, _>>()
        };
        let unsure = protections(book.snapshot(Guard::default()).expect("it changed"));
        let sentence = "it may be DockNap itself: not sure which of these I am: docknap, vpn";
        let may_be = Some(Protection::MaybeItself(sentence.to_owned()));
        assert_eq!((&unsure["docknap"], &unsure["vpn"], &unsure["other"]), (&may_be, &may_be, &None));
        assert_eq!(book.suspects(), BTreeSet::from([me.id.clone(), vpn.id]));
        book.recognised(&me.id);
        let sure = protections(book.snapshot(Guard::default()).expect("it changed"));
        assert_eq!(sure["docknap"], Some(Protection::Itself));
        assert_eq!(sure["vpn"], Some(Protection::Parent("DockNap uses its network".to_owned())));
        assert!(book.suspects().is_empty());
    }

    #[test]
    fn a_container_that_cannot_be_inspected_is_not_lost() {
        let answer = format!(r#"{{"Id":"{}","Names":["/web"]}}"#, "a".repeat(64));
        let listed = answers::read(answer.as_bytes()).expect("a row");
        let row = Row::read(listed).expect("it has an id");
        let mut book = book(outside());
        book.put_doubtful(&row, &HostId::local());
        assert_eq!(book.snapshot(Guard::default()).expect("it changed").containers[0].name, "web");
        let rows = [row];
        assert_eq!(book.differing(&rows, jiff::Timestamp::UNIX_EPOCH).len(), 1, "it is inspected again");
        book.keep_only(&[], &BTreeSet::from(["a".repeat(64)]));
        assert!(book.get(&"a".repeat(64)).is_some());
        book.keep_only(&[], &BTreeSet::new());
        assert!(book.get(&"a".repeat(64)).is_none());
    }

    #[test]
    fn an_event_during_an_inspect_asks_for_another() {
        let mut pending = Pending::default();
        assert!(pending.ask("a"));
        assert!(!pending.ask("a"));
        assert!(pending.done("a"), "again");
        assert!(!pending.done("a"));
        assert!(pending.is_empty());
    }
}
