//! The CPU that this binary was built for.

/// The level of x86-64 whose instructions the compiler was allowed to use, or the architecture.
pub(crate) const fn built_for() -> &'static str {
    if cfg!(not(target_arch = "x86_64")) {
        std::env::consts::ARCH
    } else if cfg!(all(target_feature = "avx512f", target_feature = "avx512bw")) {
        "x86-64-v4"
    } else if cfg!(all(target_feature = "avx2", target_feature = "bmi2")) {
        "x86-64-v3"
    } else if cfg!(target_feature = "ssse3") {
        "x86-64-v2"
    } else {
        "portable x86-64"
    }
}
