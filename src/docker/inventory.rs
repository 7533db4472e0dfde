//! The inventory of one Engine as the watch loop builds it.
//!
//! The watch loop alone writes to [`InventoryBuilder`]; readers get a finished [`Snapshot`] and never wait.
//! [`Pending`] tracks which inspects are in progress.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::reading::Row;
use super::self_detection::SelfHints;
use crate::domain::inventory::{Container, Containers, Guard, Health, ProtectionRules, SelfDetection};

/// What changed between two snapshots, as keys of stacks and containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) stacks: BTreeSet<String>,
    pub(super) containers: BTreeSet<String>,
    /// Containers were added or removed.
    pub(super) list: bool,
}

/// The containers of one Engine, by Docker id, with the changes since the last snapshot.
#[derive(Debug)]
pub(super) struct InventoryBuilder {
    guard: Guard,
    hints: SelfHints,
    containers: HashMap<String, Arc<Container>>,
    /// Ids of containers whose last inspect failed, so that their data is out of date.
    failed_inspects: BTreeSet<String>,
    itself: SelfDetection,
    protection_rules: ProtectionRules,
    /// Ids whose entry changed since the last snapshot.
    changed_ids: BTreeSet<String>,
    changed: Changed,
}

impl InventoryBuilder {
    pub(super) fn new(guard: Guard, hints: SelfHints) -> Self {
        let itself = if hints.contained { SelfDetection::Unknown } else { SelfDetection::OutsideDocker };
        Self {
            guard,
            hints,
            containers: HashMap::new(),
            failed_inspects: BTreeSet::new(),
            itself,
            protection_rules: ProtectionRules::default(),
            changed_ids: BTreeSet::new(),
            changed: Changed::default(),
        }
    }

    /// The rows of a list whose container is unknown, could not be inspected last time, or differs from the
    /// inventory. `now` is by the Engine's clock.
    pub(super) fn differing<'a>(&self, rows: &'a [Row], now: jiff::Timestamp) -> Vec<&'a Row> {
        rows.iter()
            .filter(|row| {
                self.failed_inspects.contains(&row.id)
                    || self.containers.get(&row.id).is_none_or(|known| !row.agrees(known, now))
            })
            .collect()
    }

    /// Removes containers that the list no longer shows, except the ids in `spare`: events arrived for them while the
    /// list was made.
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

    /// Stores the result of an inspect. `now` is by our clock and becomes `unhealthy_since` of a container that just
    /// became unhealthy.
    pub(super) fn put(&mut self, mut container: Container, now: jiff::Timestamp) {
        self.failed_inspects.remove(&container.id);
        if container.health == Health::Unhealthy
            && let Some(known) = self.containers.get(&container.id)
        {
            let is_new = known.health != Health::Unhealthy || known.started_at != container.started_at;
            container.unhealthy_since = if is_new { Some(now) } else { known.unhealthy_since };
        }
        self.insert(container);
    }

    /// Records that an inspect failed. A known container keeps its data; an unknown one is added with the data of its
    /// list row. The next list has it inspected again.
    pub(super) fn inspect_failed_of_row(&mut self, row: &Row, host: &crate::domain::ids::HostId) {
        self.failed_inspects.insert(row.id.clone());
        if !self.containers.contains_key(&row.id) {
            self.insert(row.to_container(host));
        }
    }

    /// Records that an inspect failed; the next list has the container inspected again.
    pub(super) fn inspect_failed(&mut self, id: &str) {
        self.failed_inspects.insert(id.to_owned());
    }

    fn insert(&mut self, mut container: Container) {
        if let Some(known) = self.containers.get(&container.id) {
            container.protection.clone_from(&known.protection);
            if **known == container {
                return;
            }
            let known = Arc::clone(known);
            self.mark_changed(&known);
        } else {
            self.changed.list = true;
        }
        self.mark_changed(&container);
        self.changed_ids.insert(container.id.clone());
        self.containers.insert(container.id.clone(), Arc::new(container));
    }

    /// Removes a container that no longer exists.
    pub(super) fn remove(&mut self, id: &str) {
        self.failed_inspects.remove(id);
        if let Some(known) = self.containers.remove(id) {
            self.mark_changed(&known);
            self.changed.list = true;
            self.changed_ids.insert(id.to_owned());
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<Container>> {
        self.containers.get(id)
    }

    fn mark_changed(&mut self, container: &Container) {
        match container.stack() {
            Some(stack) => {
                self.changed.stacks.insert(crate::domain::target::key(&container.host, stack));
            }
            None => {
                self.changed.containers.insert(container.key());
            }
        }
    }

    /// A new snapshot with updated protections; `None` if nothing changed since the last call.
    pub(super) fn snapshot(&mut self, guard: Guard) -> Option<Snapshot> {
        if self.changed_ids.is_empty() && guard == self.guard {
            return None;
        }
        self.guard = guard;
        self.itself = self.find_itself();
        let protection_rules =
            ProtectionRules::new(&self.guard, &self.itself, &self.containers.values().map(AsRef::as_ref));
        let to_check: Vec<String> = if protection_rules == self.protection_rules {
            self.changed_ids.iter().cloned().collect()
        } else {
            self.containers.keys().cloned().collect()
        };
        self.protection_rules = protection_rules;
        self.changed_ids.clear();
        for id in to_check {
            let Some(container) = self.containers.get(&id) else { continue };
            let protection = self.protection_rules.reason(container);
            if protection != container.protection {
                let shielded = Container { protection, ..(**container).clone() };
                self.mark_changed(&shielded);
                self.containers.insert(id, Arc::new(shielded));
            }
        }
        let mut containers: Vec<Arc<Container>> = self.containers.values().cloned().collect();
        containers.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
        Some(Snapshot {
            containers: Arc::new(containers.into_iter().collect()),
            itself: self.itself.clone(),
            protection_rules: self.protection_rules.clone(),
            changed: std::mem::take(&mut self.changed),
        })
    }

    /// The container that this process runs in. Once found, the result stays: containers created later cannot be it.
    fn find_itself(&self) -> SelfDetection {
        match &self.itself {
            SelfDetection::Container(id) if self.containers.contains_key(id) => self.itself.clone(),
            _ => self.hints.recognise(&self.containers.values().map(AsRef::as_ref)),
        }
    }

    /// The containers that may be DockNap itself and whose logs should be searched for its mark; empty if that is not
    /// needed.
    pub(super) fn suspects(&self) -> BTreeSet<String> {
        match &self.itself {
            SelfDetection::OneOf(ids) if !self.hints.mark.is_empty() => ids.clone(),
            _ => BTreeSet::new(),
        }
    }

    /// Records that a log proved this container to be the one that this process runs in.
    pub(super) fn recognised(&mut self, id: &str) {
        self.itself = SelfDetection::Container(id.to_owned());
        self.changed_ids.insert(id.to_owned());
    }
}

/// The finished inventory for readers.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) containers: Arc<Containers>,
    pub(super) itself: SelfDetection,
    pub(super) protection_rules: ProtectionRules,
    pub(super) changed: Changed,
}

/// The inspects in progress, by id. The value is true if the container changed meanwhile and must be inspected again.
#[derive(Debug, Default)]
pub(super) struct Pending(BTreeMap<String, bool>);

impl Pending {
    /// Requests an inspect. Returns whether to start it now.
    pub(super) fn request(&mut self, id: &str) -> bool {
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

    /// Records the end of an inspect. Returns whether to start another for the same id.
    pub(super) fn done(&mut self, id: &str) -> bool {
        if self.0.remove(id) == Some(true) { self.request(id) } else { false }
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

    fn new_builder(hints: SelfHints) -> InventoryBuilder {
        InventoryBuilder::new(Guard::default(), hints)
    }

    fn outside() -> SelfHints {
        SelfHints::default()
    }

    #[test]
    fn a_snapshot_names_what_changed_and_nothing_else() {
        let mut builder = new_builder(outside());
        builder.put(in_stack("media", "web"), jiff::Timestamp::UNIX_EPOCH);
        builder.put(container("loose"), jiff::Timestamp::UNIX_EPOCH);
        let first = builder.snapshot(Guard::default()).expect("it changed");
        assert_eq!((first.changed.stacks.len(), first.changed.containers.len()), (1, 1));
        assert_eq!(
            first.containers.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
            ["loose", "media-web-1"]
        );
        assert!(first.changed.list);
        builder.put(container("loose"), jiff::Timestamp::UNIX_EPOCH);
        assert!(builder.snapshot(Guard::default()).is_none(), "the same again is no change");
        builder.put(
            Container { status: "Up 2 hours".to_owned(), ..container("loose") },
            jiff::Timestamp::UNIX_EPOCH,
        );
        assert!(!builder.snapshot(Guard::default()).expect("it changed").changed.list, "none came or went");
        builder.remove(&container("loose").id);
        let third = builder.snapshot(Guard::default()).expect("it changed");
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
        let mut builder = new_builder(hints);
        builder.put(container("other"), jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(builder.snapshot(Guard::default()).expect("it changed").itself, SelfDetection::Unknown);
        builder.put(me.clone(), jiff::Timestamp::UNIX_EPOCH);
        let snapshot = builder.snapshot(Guard::default()).expect("it changed");
        assert_eq!(snapshot.itself, SelfDetection::Container(me.id.clone()));
        let shown = snapshot.containers.iter().find(|one| one.name == "docknap").expect("it is there");
        assert_eq!(shown.protection, Some(Protection::Itself));
        builder.put(
            Container { network_mode: format!("container:{}", me.id), ..container("late") },
            jiff::Timestamp::UNIX_EPOCH,
        );
        let later = builder.snapshot(Guard::default()).expect("it changed");
        assert_eq!(later.itself, SelfDetection::Container(me.id), "what comes later is another");
        assert!(builder.suspects().is_empty());
    }

    #[test]
    fn a_log_identifies_itself_among_containers_that_share_a_network() {
        let vpn = container("vpn");
        let me = Container { network_mode: format!("container:{}", vpn.id), ..container("docknap") };
        let mark = "word".to_owned();
        let hints = SelfHints { named: vec![vpn.id.clone()], contained: true, mark, ..SelfHints::default() };
        let mut builder = new_builder(hints);
        builder.put(vpn.clone(), jiff::Timestamp::UNIX_EPOCH);
        builder.put(me.clone(), jiff::Timestamp::UNIX_EPOCH);
        builder.put(container("other"), jiff::Timestamp::UNIX_EPOCH);
        let protections = |snapshot: Snapshot| {
            let pairs = snapshot.containers.iter().map(|one| (one.name.clone(), one.protection.clone()));
            pairs.collect::<BTreeMap<_, _>>()
        };
        let unsure = protections(builder.snapshot(Guard::default()).expect("it changed"));
        let sentence = "it may be DockNap itself: not sure which of these I am: docknap, vpn";
        let may_be = Some(Protection::MaybeItself(sentence.to_owned()));
        assert_eq!((&unsure["docknap"], &unsure["vpn"], &unsure["other"]), (&may_be, &may_be, &None));
        assert_eq!(builder.suspects(), BTreeSet::from([me.id.clone(), vpn.id]));
        builder.recognised(&me.id);
        let sure = protections(builder.snapshot(Guard::default()).expect("it changed"));
        assert_eq!(sure["docknap"], Some(Protection::Itself));
        assert_eq!(sure["vpn"], Some(Protection::Parent("DockNap uses its network".to_owned())));
        assert!(builder.suspects().is_empty());
    }

    #[test]
    fn a_container_that_cannot_be_inspected_is_not_lost() {
        let answer = format!(r#"{{"Id":"{}","Names":["/web"]}}"#, "a".repeat(64));
        let listed = answers::read(answer.as_bytes()).expect("a row");
        let row = Row::read(listed).expect("it has an id");
        let mut builder = new_builder(outside());
        builder.inspect_failed_of_row(&row, &HostId::local());
        assert_eq!(builder.snapshot(Guard::default()).expect("it changed").containers[0].name, "web");
        let rows = [row];
        assert_eq!(builder.differing(&rows, jiff::Timestamp::UNIX_EPOCH).len(), 1, "it is inspected again");
        builder.keep_only(&[], &BTreeSet::from(["a".repeat(64)]));
        assert!(builder.get(&"a".repeat(64)).is_some());
        builder.keep_only(&[], &BTreeSet::new());
        assert!(builder.get(&"a".repeat(64)).is_none());
    }

    #[test]
    fn an_event_during_an_inspect_asks_for_another() {
        let mut pending = Pending::default();
        assert!(pending.request("a"));
        assert!(!pending.request("a"));
        assert!(pending.done("a"), "again");
        assert!(!pending.done("a"));
        assert!(pending.is_empty());
    }
}
