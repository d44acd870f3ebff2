//! A service's Service.

use aeterna_crds::v1alpha1::AeternaCluster;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{labels, metadata};
use crate::cluster::ServiceKind;

pub(super) fn build_service(cluster: &AeternaCluster, kind: ServiceKind) -> Service {
    Service {
        metadata: metadata(cluster, kind.name(), kind.name()),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(labels(kind.name())),
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                port: kind.port(),
                target_port: Some(IntOrString::Int(kind.port())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
