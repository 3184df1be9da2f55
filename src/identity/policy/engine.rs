//! Cedar itself: entities are made for one question and forgotten.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request, RestrictedExpression,
    Schema, ValidationMode, Validator,
};
use tenure_aggregates::link::GroupRole;
use tenure_aggregates::{TenantId, TenantKind};

use super::{Action, Resource};
use crate::identity::principal::Principal;

/// The policies or their schema are wrong.
#[derive(Debug, thiserror::Error)]
#[error("the built-in policies can't be used: {reason}")]
pub struct PolicyError {
    reason: String,
}

impl PolicyError {
    #[expect(clippy::needless_pass_by_value, reason = "so that it fits map_err")]
    fn new(reason: impl ToString) -> Self {
        Self { reason: reason.to_string() }
    }
}

/// Policies, schema and the names of the entity types.
pub(super) struct Engine {
    policies: PolicySet,
    schema: Schema,
    tenant: EntityTypeName,
    person: EntityTypeName,
    role: EntityTypeName,
    group_role: EntityTypeName,
    action: EntityTypeName,
}

impl Engine {
    pub fn new() -> Result<Self, PolicyError> {
        let (schema, warnings) =
            Schema::from_cedarschema_str(include_str!("tenure.cedarschema")).map_err(PolicyError::new)?;
        if let Some(warning) = warnings.into_iter().next() {
            return Err(PolicyError::new(warning));
        }
        let policies = PolicySet::from_str(include_str!("tenure.cedar")).map_err(PolicyError::new)?;
        let verdict = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        if !verdict.validation_passed_without_warnings() {
            return Err(PolicyError::new(verdict));
        }
        let name = |name: &str| EntityTypeName::from_str(name).map_err(PolicyError::new);
        Ok(Self {
            policies,
            schema,
            tenant: name("Tenant")?,
            person: name("Person")?,
            role: name("Role")?,
            group_role: name("GroupRole")?,
            action: name("Action")?,
        })
    }

    /// Cedar's answer. What Cedar can't evaluate is denied.
    pub fn decide(&self, principal: &Principal, action: Action, resource: Resource) -> bool {
        let role = uid(&self.role, principal.role.as_str());
        let own = Resource { tenant: principal.tenant, kind: principal.kind };
        self.answer(role, own, action, resource)
    }

    /// Cedar's answer for an MSP's people in an account that it manages, where a group of theirs has this role.
    pub fn decide_for_group(&self, role: GroupRole, action: Action) -> bool {
        let msp = TenantId::from_uuid(uuid::Uuid::nil());
        let account = TenantId::from_uuid(uuid::Uuid::max());
        let resource = Resource { tenant: account, kind: TenantKind::Customer { msp } };
        let own = Resource { tenant: msp, kind: TenantKind::Msp };
        self.answer(uid(&self.group_role, role.as_str()), own, action, resource)
    }

    fn answer(&self, role: EntityUid, own: Resource, action: Action, resource: Resource) -> bool {
        match self.ask(role.clone(), own, action, resource) {
            Ok(decision) => decision == Decision::Allow,
            Err(error) => {
                tracing::error!(%action, %role, %error, "the policies could not be evaluated");
                false
            }
        }
    }

    fn ask(&self, role: EntityUid, own: Resource, action: Action, resource: Resource) -> Result<Decision, PolicyError> {
        let person = uid(&self.person, "caller");
        let attributes = [("tenant".to_owned(), RestrictedExpression::new_entity_uid(self.tenant_uid(own.tenant)))];
        let mut entities = vec![
            Entity::new(person.clone(), HashMap::from(attributes), HashSet::from([role.clone()]))
                .map_err(PolicyError::new)?,
            Entity::new_no_attrs(role, HashSet::new()),
        ];
        entities.extend(self.tenant_and_msp(own)?);
        entities.extend(self.tenant_and_msp(resource)?);
        // The principal's tenant, the resource and the MSPs above them may be the same.
        let mut known = HashSet::new();
        entities.retain(|entity| known.insert(entity.uid()));
        let entities = Entities::from_entities(entities, Some(&self.schema)).map_err(PolicyError::new)?;
        let request = Request::new(
            person,
            uid(&self.action, action.as_str()),
            self.tenant_uid(resource.tenant),
            Context::empty(),
            Some(&self.schema),
        )
        .map_err(PolicyError::new)?;
        let response = cedar_policy::Authorizer::new().is_authorized(&request, &self.policies, &entities);
        match response.diagnostics().errors().next() {
            Some(error) => Err(PolicyError::new(error)),
            None => Ok(response.decision()),
        }
    }

    fn tenant_and_msp(&self, tenant: Resource) -> Result<Vec<Entity>, PolicyError> {
        let make = |id: TenantId, kind: &str, parents| {
            let kind = RestrictedExpression::new_string(kind.to_owned());
            Entity::new(self.tenant_uid(id), HashMap::from([("kind".to_owned(), kind)]), parents)
                .map_err(PolicyError::new)
        };
        match tenant.kind {
            TenantKind::Msp => Ok(vec![make(tenant.tenant, "msp", HashSet::new())?]),
            TenantKind::Independent => Ok(vec![make(tenant.tenant, "independent", HashSet::new())?]),
            TenantKind::Customer { msp } => Ok(vec![
                make(tenant.tenant, "customer", HashSet::from([self.tenant_uid(msp)]))?,
                make(msp, "msp", HashSet::new())?,
            ]),
        }
    }

    fn tenant_uid(&self, id: TenantId) -> EntityUid {
        uid(&self.tenant, &id.to_string())
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
