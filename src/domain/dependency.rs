//! Dependencies between containers as written down: in the label of compose, or as an order edge that people add.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::ids::HostId;
use super::target::{ContainerIdentity, Subject, TargetType};
use super::time::{Instant, serialize_instant};
use super::words::words;

words! {
    /// The state of a container that a dependant waits for, by the names of compose.
    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
    )]
    #[serde(rename_all = "snake_case")]
    pub enum Condition {
        /// The dependency runs.
        ServiceStarted,
        /// The health check of the dependency passes.
        ServiceHealthy,
        /// The dependency ended with exit code 0.
        ServiceCompletedSuccessfully,
        /// The container no longer runs. Only used by stops, which wait for the dependants.
        Stopped,
    }
}

impl Condition {
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// Label in which compose writes the dependencies of a service.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// Upper limit of the items read from one label; compose files have a handful.
const MAX_ITEMS: usize = 256;

/// One item of a `depends_on` label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Name of the service.
    pub service: String,
    /// Condition that the service has to meet.
    pub condition: Condition,
    /// Whether the dependant restarts together with the service.
    pub restart: bool,
}

/// Parses a `depends_on` label in its three historical forms: `db,redis`, `db:service_healthy`,
/// `db:service_healthy:true`. Returns the items, and notes about odd parts.
///
/// ```
/// use docknap::domain::{order, run::Condition};
/// let (items, notes) = order::parse_depends_on("db:service_healthy:true,redis");
/// assert_eq!(items[0].condition, Condition::ServiceHealthy);
/// assert_eq!(items[1].service, "redis");
/// assert!(notes.is_empty());
/// ```
pub fn parse_depends_on(label: &str) -> (Vec<Dependency>, Vec<String>) {
    let mut items: Vec<Dependency> = Vec::new();
    let mut notes = Vec::new();
    for (count, item) in label.split(',').map(str::trim).filter(|item| !item.is_empty()).enumerate() {
        if count == MAX_ITEMS {
            notes.push(format!("only the first {MAX_ITEMS} of its dependencies are read"));
            break;
        }
        let mut parts = item.split(':');
        let service = parts.next().unwrap_or_default().trim();
        let condition = parts.next();
        let restart = parts.next().is_some_and(|word| word.trim().eq_ignore_ascii_case("true"));
        if service.is_empty() || parts.next().is_some() {
            notes.push(format!("`{}` is no dependency; it is ignored", excerpt(item)));
            continue;
        }
        let condition = match condition {
            None | Some("") => Condition::ServiceStarted,
            Some(word) => match Condition::parse(word).filter(|condition| *condition != Condition::Stopped) {
                Some(condition) => condition,
                None => {
                    notes.push(format!(
                        "`{}` is no condition; waiting for {} to be started",
                        excerpt(word),
                        excerpt(service)
                    ));
                    Condition::ServiceStarted
                }
            },
        };
        if !items.iter().any(|known| known.service == service) {
            items.push(Dependency { service: service.to_owned(), condition, restart });
        }
    }
    (items, notes)
}

/// First 40 characters without control characters, for notes that quote hostile text.
pub(super) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Order edge that a person added: the dependant starts after the dependency, and stops before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EdgeJson, description = "An edge of the start order: the dependant starts after the dependency, and stops before it.")]
pub struct AddedEdge {
    pub id: String,
    #[schema(value_type = String)]
    pub host: HostId,
    // A stack, or all containers of a service.
    #[serde(rename = "dependant_type", serialize_with = "type_of")]
    #[schema(value_type = TargetType)]
    pub dependant: Subject,
    // The name when the edge was added.
    #[serde(rename = "dependant_id")]
    pub dependant_name: String,
    #[serde(rename = "dependency_type", serialize_with = "type_of")]
    #[schema(value_type = TargetType)]
    pub dependency: Subject,
    #[serde(rename = "dependency_id")]
    pub dependency_name: String,
    pub condition: Condition,
    // In seconds; `None` = the default.
    pub wait_seconds: Option<i64>,
    #[serde(skip)]
    pub author_id: Option<String>,
    pub author: String,
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub created_at: Timestamp,
}

fn type_of<S: Serializer>(subject: &Subject, to: S) -> Result<S::Ok, S::Error> {
    subject.target_type().serialize(to)
}

impl AddedEdge {
    /// Whether both sides are containers of one stack; only then does the edge order the waves of a plan.
    pub fn is_within_a_stack(&self) -> bool {
        let project = |subject: &Subject| match subject {
            Subject::Container(ContainerIdentity::Service { project, .. }) => Some(project.clone()),
            _ => None,
        };
        project(&self.dependant).is_some_and(|one| project(&self.dependency) == Some(one))
    }
}
