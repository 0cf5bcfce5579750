//! WGPU adapters: Vulkan, or Metal on macOS.
//!
//! They are numbered as a person would: real GPUs first, renderers in software last. burn's runtime counts each type
//! of adapter on its own; the numbers are translated here.

use super::{Candidate, Unavailable};

/// The adapters that answer, or why there is none.
#[cfg(feature = "wgpu")]
pub(super) fn find() -> Result<Vec<Candidate>, Unavailable> {
    present::find()
}

/// None: the backend was left out.
#[cfg(not(feature = "wgpu"))]
pub(super) fn find() -> Result<Vec<Candidate>, Unavailable> {
    Err(Unavailable::NotBuilt("wgpu"))
}

#[cfg(feature = "wgpu")]
mod present {
    use std::pin::pin;
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Poll, Waker};

    use burn_wgpu::WgpuDevice;
    use burn_wgpu::graphics::{AutoGraphicsApi, GraphicsApi};
    use wgpu::{AdapterInfo, DeviceType, Instance, InstanceDescriptor};

    use super::super::{Candidate, DeviceKind, Unavailable, trial};
    use crate::ops::backend::Device;

    /// Set once the drivers have not come back.
    static STUCK: AtomicBool = AtomicBool::new(false);

    pub(super) fn find() -> Result<Vec<Candidate>, Unavailable> {
        let infos = trial::quietly(&STUCK, adapters)?;
        if infos.is_empty() {
            let api = if cfg!(target_os = "macos") { "Metal" } else { "Vulkan" };
            return Err(Unavailable::NoDevice(format!("no {api} driver with an adapter is installed")));
        }
        let mut found: Vec<(&AdapterInfo, Option<WgpuDevice>)> =
            infos.iter().enumerate().map(|(index, info)| (info, runtime_name(&infos, index))).collect();
        found.sort_by_key(|(info, _)| rank(info.device_type));
        let numbered = found.into_iter().enumerate();
        Ok(numbered.map(|(number, (info, device))| candidate(number, info, device)).collect())
    }

    fn candidate(number: usize, info: &AdapterInfo, device: Option<WgpuDevice>) -> Candidate {
        let software = info.device_type == DeviceType::Cpu;
        let what = if software { format!("{} (software)", info.name) } else { info.name.clone() };
        let Some(device) = device else {
            let mut candidate = Candidate::absent(
                DeviceKind::Wgpu,
                Unavailable::Failed("burn's runtime has no name for this adapter".to_owned()),
            );
            candidate.report.name = format!("wgpu:{number}");
            candidate.report.what = what;
            return candidate;
        };
        Candidate::found(DeviceKind::Wgpu, number, what, software, Device::Vulkan(device))
    }

    /// All adapters of the graphics API that burn's runtime uses, in the order in which it sees them.
    fn adapters() -> Vec<AdapterInfo> {
        let backends = AutoGraphicsApi::backend().into();
        let instance = Instance::new(InstanceDescriptor {
            backends,
            ..InstanceDescriptor::new_without_display_handle()
        });
        // Natively the list is ready at the first poll; only browsers wait.
        let list = pin!(instance.enumerate_adapters(backends));
        match list.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(adapters) => adapters.iter().map(wgpu::Adapter::get_info).collect(),
            Poll::Pending => Vec::new(),
        }
    }

    const fn rank(device_type: DeviceType) -> u8 {
        match device_type {
            DeviceType::DiscreteGpu => 0,
            DeviceType::IntegratedGpu => 1,
            DeviceType::VirtualGpu => 2,
            DeviceType::Other => 3,
            DeviceType::Cpu => 4,
        }
    }

    /// What burn's runtime calls the adapter at `index`: its type and its number among those of the type.
    ///
    /// Adapters of no known type are what the runtime falls back to where a type has too few.
    fn runtime_name(infos: &[AdapterInfo], index: usize) -> Option<WgpuDevice> {
        let count = |wanted: DeviceType| infos.iter().filter(|info| info.device_type == wanted).count();
        let device_type = infos[index].device_type;
        let number = infos[..index].iter().filter(|info| info.device_type == device_type).count();
        match device_type {
            DeviceType::DiscreteGpu => Some(WgpuDevice::DiscreteGpu(number)),
            DeviceType::IntegratedGpu => Some(WgpuDevice::IntegratedGpu(number)),
            DeviceType::VirtualGpu => Some(WgpuDevice::VirtualGpu(number)),
            DeviceType::Cpu => (number == 0).then_some(WgpuDevice::Cpu),
            DeviceType::Other if count(DeviceType::VirtualGpu) <= number => {
                Some(WgpuDevice::VirtualGpu(number))
            }
            DeviceType::Other if count(DeviceType::IntegratedGpu) <= number => {
                Some(WgpuDevice::IntegratedGpu(number))
            }
            DeviceType::Other if count(DeviceType::DiscreteGpu) <= number => {
                Some(WgpuDevice::DiscreteGpu(number))
            }
            DeviceType::Other => None,
        }
    }
}
