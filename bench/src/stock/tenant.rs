//! The aggregate and its view, in the manner of the crates' own examples.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent, EventEnvelope};
use serde::{Deserialize, Serialize};

use crate::Refusal;

/// The command; the body of the request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provision {
    pub short_code: String,
    pub display_name: String,
    contact_email: String,
    max_users: u32,
    modules: Vec<String>,
}

/// As many events as Tenure writes for the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    Provisioned {
        short_code: String,
        display_name: String,
        contact_email: String,
        max_users: u32,
        modules: Vec<String>,
    },
    AdministratorInvited {
        email: String,
    },
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Provisioned { .. } => "tenant.provisioned".to_owned(),
            Self::AdministratorInvited { .. } => "administrator.invited".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

/// The aggregate.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tenant {
    short_code: String,
}

impl Aggregate for Tenant {
    const TYPE: &'static str = "tenant";
    type Command = Provision;
    type Event = Event;
    type Error = Refusal;
    type Services = ();

    async fn handle(&mut self, command: Provision, (): &(), sink: &EventSink<Self>) -> Result<(), Refusal> {
        let Provision { short_code, display_name, contact_email, max_users, modules } = command;
        let email = contact_email.clone();
        sink.write(Event::Provisioned { short_code, display_name, contact_email, max_users, modules }, self).await;
        sink.write(Event::AdministratorInvited { email }, self).await;
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Provisioned { short_code, .. } => self.short_code = short_code,
            Event::AdministratorInvited { .. } => {}
        }
    }
}

/// The one view.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TenantView {
    short_code: String,
    display_name: String,
    max_users: u32,
    modules: Vec<String>,
}

impl cqrs_es::View<Tenant> for TenantView {
    fn update(&mut self, event: &EventEnvelope<Tenant>) {
        match &event.payload {
            Event::Provisioned { short_code, display_name, max_users, modules, .. } => {
                self.short_code.clone_from(short_code);
                self.display_name.clone_from(display_name);
                self.max_users = *max_users;
                self.modules.clone_from(modules);
            }
            Event::AdministratorInvited { .. } => {}
        }
    }
}
