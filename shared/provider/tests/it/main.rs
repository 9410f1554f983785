//! What goes over the wire, against a server that answers exactly what it is told to.

mod calls;
mod downloads;
mod hooks;
mod server;
