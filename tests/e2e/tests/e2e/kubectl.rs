//! What a user does with kubectl.

use std::time::Duration;

use aeterna_testkit::output;
use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::ground::{Ground, NAMESPACE, wait};

impl Ground {
    /// Runs kubectl.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        output(self.command("kubectl", arguments))
    }

    /// Reads an object of the quickstart's namespace.
    pub fn get(&self, kind: &str, name: &str) -> Result<Value> {
        let text = self.kubectl(&["get", kind, name, "-n", NAMESPACE, "-o", "json"])?;
        serde_json::from_str(&text).context("kubectl prints no JSON")
    }

    /// Reads all objects of a kind in a namespace.
    pub fn list(&self, kind: &str, namespace: &str, selector: &str) -> Result<Vec<Value>> {
        let text = self.kubectl(&["get", kind, "-n", namespace, "-l", selector, "-o", "json"])?;
        let mut list: Value = serde_json::from_str(&text).context("kubectl prints no JSON")?;
        Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Merges a patch into an object of the quickstart's namespace.
    pub fn patch(&self, kind: &str, name: &str, patch: &Value) -> Result<()> {
        let patch = patch.to_string();
        self.kubectl(&["patch", kind, name, "-n", NAMESPACE, "--type", "merge", "-p", &patch])?;
        Ok(())
    }

    /// Waits until the newest generation of an object is Ready.
    pub fn wait_ready(&self, kind: &str, name: &str, limit: Duration) -> Result<Value> {
        wait(&format!("{kind} {name} is Ready"), limit, || {
            let object = self.get(kind, name)?;
            Ok(is_ready(&object).then_some(object))
        })
    }

    /// Waits until a condition has a reason.
    pub fn wait_reason(&self, kind: &str, name: &str, condition: &str, reason: &str) -> Result<Value> {
        wait(
            &format!("{condition} of {kind} {name} is {reason}"),
            Duration::from_secs(60),
            || {
                let object = self.get(kind, name)?;
                let found = find_condition(&object, condition).cloned();
                Ok(found.filter(|found| found["reason"] == reason))
            },
        )
    }

    /// Moves a tenant and waits until it is there.
    pub fn place(&self, tenant: &str, placement: &Value) -> Result<()> {
        self.patch(
            "tenantshard",
            tenant,
            &serde_json::json!({"spec": {"placement": placement}}),
        )
    }

    /// Waits until a tenant is on a shard and Ready.
    pub fn wait_placed(&self, tenant: &str, shard: &str, limit: Duration) -> Result<Value> {
        wait(&format!("{tenant} is on {shard}"), limit, || {
            let object = self.get("tenantshard", tenant)?;
            let there = object["status"]["placement"]["shard"] == shard;
            Ok((there && is_ready(&object)).then_some(object))
        })
    }
}

/// Finds a condition of an object.
pub fn find_condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}

fn is_ready(object: &Value) -> bool {
    find_condition(object, "Ready").is_some_and(|ready| {
        ready["status"] == "True" && ready["observedGeneration"] == object["metadata"]["generation"]
    })
}
