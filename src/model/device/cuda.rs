//! CUDA devices: the driver is looked for before anything that would panic without it.

use super::{Candidate, Unavailable};

/// The devices that the driver counts, or why there is none.
#[cfg(feature = "cuda")]
pub(super) fn find() -> Result<Vec<Candidate>, Unavailable> {
    present::find()
}

/// None: the backend was left out.
#[cfg(not(feature = "cuda"))]
pub(super) fn find() -> Result<Vec<Candidate>, Unavailable> {
    Err(Unavailable::NotBuilt("cuda"))
}

#[cfg(feature = "cuda")]
mod present {
    use std::sync::atomic::AtomicBool;

    use burn_cuda::CudaDevice;
    use cudarc::driver::result;
    use cudarc::driver::sys::cudaError_enum::CUDA_ERROR_NO_DEVICE;

    use super::super::{Candidate, DeviceKind, Unavailable, trial};
    use crate::ops::backend::Device;

    /// Set once the driver has not come back.
    static STUCK: AtomicBool = AtomicBool::new(false);

    pub(super) fn find() -> Result<Vec<Candidate>, Unavailable> {
        let names = trial::quietly(&STUCK, names)??;
        Ok(names.into_iter().enumerate().map(candidate).collect())
    }

    fn candidate((number, name): (usize, String)) -> Candidate {
        let device = Device::Cuda(CudaDevice { index: number });
        Candidate::found(DeviceKind::Cuda, number, name, false, device)
    }

    /// What the driver calls its devices, in its order.
    fn names() -> Result<Vec<String>, Unavailable> {
        let none = || Unavailable::NoDevice("the NVIDIA driver finds no device".to_owned());
        if !driver_is_there() {
            return Err(Unavailable::NoLibrary("there is no NVIDIA driver (`libcuda` is not found)"));
        }
        result::init().map_err(|error| {
            if error.0 == CUDA_ERROR_NO_DEVICE { none() } else { Unavailable::Failed(error.to_string()) }
        })?;
        let count = result::device::get_count().map_err(failed)?;
        if count == 0 {
            return Err(none());
        }
        if !compiler_is_there() {
            return Err(Unavailable::NoLibrary(
                "CUDA's run-time compiler is missing (`libnvrtc` is not found; install the CUDA toolkit)",
            ));
        }
        (0..count)
            .map(|number| result::device::get(number).and_then(result::device::get_name).map_err(failed))
            .collect()
    }

    fn failed(error: result::DriverError) -> Unavailable {
        Unavailable::Failed(error.to_string())
    }

    #[expect(unsafe_code, reason = "loads the driver's library, whose initialisers the system trusts")]
    fn driver_is_there() -> bool {
        // SAFETY: has no precondition of its own; loading a library runs its initialisers, and this one is the
        // system's driver, which the backend is about to load anyway.
        unsafe { cudarc::driver::sys::is_culib_present() }
    }

    #[expect(unsafe_code, reason = "loads the compiler's library, whose initialisers the system trusts")]
    fn compiler_is_there() -> bool {
        // SAFETY: as for the driver.
        unsafe { cudarc::nvrtc::sys::is_culib_present() }
    }
}
