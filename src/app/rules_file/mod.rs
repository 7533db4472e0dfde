//! Rules as files: everything that decides when targets sleep can be written to a YAML file and read back. A file is
//! planned first ([`plan`]), so that a person sees what changes, and then stored in one transaction ([`apply`]).

mod aim;
mod apply;
mod document;
mod export;
mod folder;
mod foreign;
mod keys;
mod plan;
mod tree;

pub use apply::{apply, apply_exactly};
pub use document::{Document, Section};
pub use export::{Export, export, export_schedules};
pub use folder::{Folder, FolderFault, compare, folder_fault, keep, look, sweep};
pub use foreign::Foreign;
pub use plan::{Deed, Plan, Step, plan};
pub use tree::MAX_BYTES;
