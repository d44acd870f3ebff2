//! The endpoints, one file each.

pub mod connections;
pub mod schedules;
pub mod sync;
pub mod webhooks;

use aeterna_kit::page::Size;

/// How many entries a page of a list has.
const PAGE: Size = Size { usual: 50, most: 200 };
