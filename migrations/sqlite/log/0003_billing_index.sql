-- Nobody looks for billing events in the log any more: the billing view has them, with the MSP that pays, and the export
-- reads it (docs/adr/0015).

DROP INDEX events_billing;
