//! The simulator from outside: started in this process on free ports, spoken to over HTTP only.

#[cfg(test)]
mod cdn;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod listing;
#[cfg(test)]
mod media;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod webhooks;
