//! The one backend everything runs on: burn's dispatch, which chooses CUDA, Vulkan or the CPU per device.
//!
//! Every other file names burn's backend through these aliases, so that moving to a burn without the generic
//! parameter stays mechanical.

/// The backend of every tensor in omni.
pub type B = burn_dispatch::Dispatch;

/// The device of every tensor in omni.
pub type Device = burn_dispatch::DispatchDevice;

/// A tensor of any rank, without its static type.
pub type Primitive = burn_dispatch::DispatchTensor;
