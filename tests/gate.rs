//! A suspended tenant's people are refused at once, however good their tokens are.

use serde_json::json;
use tenure::identity::Role;
use tenure_aggregates::TenantId;

use crate::service::{Answer, Service, on_each_engine};

async fn me(service: &Service, role: Role, tenant: TenantId) -> Answer {
    Answer::of(service.request("GET", "/api/v1/me").bearer_auth(service.token_of(role, tenant))).await
}

on_each_engine! {
    async fn a_suspension_is_felt_with_the_next_request(service: Service) {
        let id = service.tenant("acme").await;
        let other = service.tenant("contoso").await;
        let path = format!("/api/v1/msp/tenants/{id}");
        for round in 0..10 {
            let who = me(&service, Role::PrimeAdmin, id).await.expect(200);
            assert_eq!(who["role"], "prime-admin", "round {round}");
            assert_eq!(who["tenant"], id.to_string());
            service.post_nothing(&format!("{path}/suspend")).await.expect(200);
            for role in [Role::PrimeAdmin, Role::Admin, Role::ReadOnly, Role::Auditor] {
                let refused = me(&service, role, id).await.expect_problem(403, "tenant-suspended");
                assert_eq!(refused["detail"], "tenant suspended");
            }
            me(&service, Role::PrimeAdmin, other).await.expect(200);
            service.post_nothing(&format!("{path}/reinstate")).await.expect(200);
        }
        let body = json!({"confirmShortCode": "acme"});
        service.post(&format!("{path}/deprovision"), &body).await.expect(200);
        me(&service, Role::PrimeAdmin, id).await.expect_problem(403, "tenant-deprovisioned");
    }

    async fn a_suspension_without_waiting_for_views_is_felt_at_once_too(service: Service) {
        let id = service.tenant("acme").await;
        let suspend = service.as_msp("POST", &format!("/api/v1/msp/tenants/{id}/suspend"));
        Answer::of(suspend.header("prefer", "respond-async")).await.expect(202);
        me(&service, Role::PrimeAdmin, id).await.expect_problem(403, "tenant-suspended");
    }

    async fn a_tenant_that_never_was_is_refused(service: Service) {
        let nobody = TenantId::from_uuid(uuid::Uuid::now_v7());
        me(&service, Role::PrimeAdmin, nobody).await.expect_problem(403, "tenant-unknown");
        me(&service, Role::MspAdmin, nobody).await.expect_problem(403, "tenant-unknown");
    }
}
