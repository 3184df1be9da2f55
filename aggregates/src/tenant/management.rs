//! Who manages a tenant, and which domain is its own.

use chrono::{DateTime, Utc};

use super::{Account, Error, Event, TenantKind};
use crate::values::{DomainName, EmailAddress, SubjectId, UserId};
use crate::{Personal, TenantId};

impl Account {
    /// A tenant has one domain, and keeps it.
    pub(super) fn prove_domain(&self, domain: DomainName, at: DateTime<Utc>) -> Result<Vec<Event>, Error> {
        match &self.domain {
            None => Ok(vec![Event::DomainProven { domain, at }]),
            Some(proven) if *proven == domain => Ok(Vec::new()),
            Some(proven) => Err(Error::OtherDomain { proven: proven.clone() }),
        }
    }

    pub(super) fn join(
        &self,
        msp: TenantId,
        by: SubjectId,
        contact_email: Personal<EmailAddress>,
        at: DateTime<Utc>,
    ) -> Result<Vec<Event>, Error> {
        match self.kind {
            TenantKind::Msp | TenantKind::Customer { .. } => Err(Error::NotIndependent),
            TenantKind::Independent => {
                Ok(vec![Event::Joined { msp, former_owner: by, contact_email: Some(contact_email), at }])
            }
        }
    }

    pub(super) fn leave(
        &self,
        msp: TenantId,
        owner: Personal<UserId>,
        owner_id: SubjectId,
        at: DateTime<Utc>,
    ) -> Result<Vec<Event>, Error> {
        match self.kind {
            TenantKind::Customer { msp: managing } if managing == msp => {
                Ok(vec![Event::Unlinked { msp, owner, owner_id, at }])
            }
            TenantKind::Msp | TenantKind::Customer { .. } | TenantKind::Independent => Err(Error::NotManagedBy { msp }),
        }
    }

    pub(super) fn with_domain(self, domain: &DomainName) -> Self {
        Self { domain: Some(domain.clone()), ..self }
    }

    pub(super) fn joined(self, msp: TenantId, contact_email: Option<&Personal<EmailAddress>>) -> Self {
        let contact_email = contact_email.cloned().unwrap_or(self.contact_email);
        Self { kind: TenantKind::Customer { msp }, owner: None, contact_email, ..self }
    }

    pub(super) fn unlinked(self, owner: &SubjectId) -> Self {
        Self { kind: TenantKind::Independent, owner: Some(owner.clone()), ..self }
    }
}
