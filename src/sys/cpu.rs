//! The CPU that this binary was built for, and whether this machine has one.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::ffi::{CStr, c_char, c_int};

/// The level of x86-64 that the compiler was allowed to use, as the psABI defines them: each has all instructions of those before
/// it.
const LEVEL: u32 = if cfg!(all(target_feature = "avx512f", target_feature = "avx512bw")) {
    4
} else if cfg!(all(target_feature = "avx2", target_feature = "bmi2")) {
    3
} else if cfg!(target_feature = "ssse3") {
    2
} else {
    1
};

/// The level of x86-64 whose instructions the compiler was allowed to use, or the architecture.
pub(crate) const fn built_for() -> &'static str {
    if cfg!(not(target_arch = "x86_64")) {
        return std::env::consts::ARCH;
    }
    match LEVEL {
        1 => "portable x86-64",
        2 => "x86-64-v2",
        3 => "x86-64-v3",
        _ => "x86-64-v4",
    }
}

/// Whether this processor has the instructions of the level that this binary was built for. If it does not, one line on standard
/// error says so and names the package for it.
///
/// Instructions that a build was allowed beside those of its level (`-C target-cpu=native`) are not looked for.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub(crate) fn fits() -> bool {
    // SAFETY: the lines end with a null, and there is one for each level below the highest.
    unsafe { lapps_cpu_fits(LEVEL, &LINES) != 0 }
}

/// Other architectures have no levels.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn fits() -> bool {
    true
}

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    /// See `cpu.c`.
    fn lapps_cpu_fits(built: u32, why: &[Line; 3]) -> c_int;
}

/// A text that ends with a null.
#[cfg(target_arch = "x86_64")]
#[repr(transparent)]
struct Line(*const c_char);

// SAFETY: nobody ever writes to it.
#[cfg(target_arch = "x86_64")]
unsafe impl Sync for Line {}

/// Why a processor of the level 1, 2 or 3 cannot run this.
#[cfg(target_arch = "x86_64")]
static LINES: [Line; 3] = [
    Line(WHY[LEVEL as usize - 1][0].as_ptr()),
    Line(WHY[LEVEL as usize - 1][1].as_ptr()),
    Line(WHY[LEVEL as usize - 1][2].as_ptr()),
];

/// By the level that was built for, then by the one that the processor has; empty where it is enough.
#[cfg(target_arch = "x86_64")]
const WHY: [[&CStr; 3]; 4] = [
    [c"", c"", c""],
    [
        c"lapps: this build needs a CPU with x86-64-v2 (SSSE3, SSE4.2), which this one lacks: install the package lapps-generic\n",
        c"",
        c"",
    ],
    [
        c"lapps: this build needs a CPU with x86-64-v3 (AVX2), which this one lacks: install the package lapps-generic\n",
        c"lapps: this build needs a CPU with x86-64-v3 (AVX2), which this one lacks: install the package lapps-ssse3\n",
        c"",
    ],
    [
        c"lapps: this build needs a CPU with x86-64-v4 (AVX-512), which this one lacks: install the package lapps-generic\n",
        c"lapps: this build needs a CPU with x86-64-v4 (AVX-512), which this one lacks: install the package lapps-ssse3\n",
        c"lapps: this build needs a CPU with x86-64-v4 (AVX-512), which this one lacks: install the package lapps-avx2\n",
    ],
];

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    unsafe extern "C" {
        safe fn lapps_cpu_level(basic: u32, extended: u32, further: u32, saved: u32) -> u32;
        safe fn lapps_cpu_own_level() -> u32;
    }

    /// What each level adds to the one before it: see `cpu.c`.
    const V2: [u32; 4] = [0x0098_2201, 0, 0x01, 0];
    const V3: [u32; 4] = [0x3840_1000, 0x0000_0128, 0x20, 0x06];
    const V4: [u32; 4] = [0, 0xd003_0000, 0, 0xe0];

    fn level(of: [u32; 4]) -> u32 {
        lapps_cpu_level(of[0], of[1], of[2], of[3])
    }

    fn with(one: [u32; 4], other: [u32; 4]) -> [u32; 4] {
        std::array::from_fn(|register| one[register] | other[register])
    }

    #[test]
    fn a_level_is_there_with_the_last_of_its_instructions() {
        assert_eq!(level([0; 4]), 1);
        let mut all = [0; 4];
        for (own, added) in [(2, V2), (3, V3), (4, V4)] {
            let below = all;
            all = with(all, added);
            assert_eq!((level(below), level(all)), (own - 1, own));
            for register in 0..4 {
                for bit in (0..32).map(|position| 1 << position).filter(|bit| added[register] & bit != 0) {
                    let mut lacking = all;
                    lacking[register] &= !bit;
                    assert_eq!(level(lacking), own - 1, "{register} {bit:x}");
                }
            }
        }
        assert_eq!(level([!0; 4]), 4);
        // What is there without what is below it is of no use.
        assert_eq!(level(with(V3, V4)), 1);
    }

    #[test]
    fn each_refusal_is_a_line_that_names_the_package_for_this_processor() {
        for (built, lines) in (1..).zip(WHY) {
            for ((has, line), package) in (1..).zip(lines).zip(["lapps-generic", "lapps-ssse3", "lapps-avx2"])
            {
                let line = line.to_str().unwrap();
                if has >= built {
                    assert_eq!(line, "");
                    continue;
                }
                assert!(line.contains(&format!("x86-64-v{built} ")), "{line}");
                assert!(line.ends_with(&format!("install the package {package}\n")), "{line}");
            }
        }
    }

    #[test]
    fn this_processor_runs_this() {
        assert!(fits());
        assert!(lapps_cpu_own_level() >= LEVEL);
    }
}
