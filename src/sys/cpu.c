/* The level of x86-64 that a processor has, and the refusal of one that has too little.

   This is in C because it has to run on every processor, also where the compiler of the rest may use what only newer ones
   have, and does so everywhere, even to set a few words to zero. */

#include <cpuid.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define BIT(position) ((uint32_t)1 << (position))

static int has(uint32_t bits, uint32_t wanted) { return (bits & wanted) == wanted; }

/* The highest level, from 1, of which a processor has everything, as the psABI defines them: CPUID leaf 1 ECX, leaf 7 EBX,
   leaf 0x80000001 ECX, and what of XCR0 says which registers the system saves. */
uint32_t lapps_cpu_level(uint32_t basic, uint32_t extended, uint32_t further, uint32_t saved) {
    /* SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; LAHF. */
    if (!has(basic, BIT(0) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(23)) || !has(further, BIT(0)))
        return 1;
    /* FMA, MOVBE, OSXSAVE, AVX, F16C; BMI1, AVX2, BMI2; LZCNT; XMM and YMM. */
    if (!has(basic, BIT(12) | BIT(22) | BIT(27) | BIT(28) | BIT(29)) ||
        !has(extended, BIT(3) | BIT(5) | BIT(8)) || !has(further, BIT(5)) || !has(saved, 0x06))
        return 2;
    /* AVX512F, DQ, CD, BW, VL; their registers. */
    if (!has(extended, BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31)) || !has(saved, 0xe6))
        return 3;
    return 4;
}

/* The level of this processor. */
uint32_t lapps_cpu_own_level(void) {
    uint32_t basic = 0, extended = 0, further = 0, saved = 0, unused[3], high;
    __get_cpuid(1, &unused[0], &unused[1], &basic, &unused[2]);
    __get_cpuid_count(7, 0, &unused[0], &extended, &unused[1], &unused[2]);
    __get_cpuid(0x80000001, &unused[0], &unused[1], &further, &unused[2]);
    /* OSXSAVE says that XCR0 can be read. */
    if (has(basic, BIT(27)))
        __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    return lapps_cpu_level(basic, extended, further, saved);
}

/* Whether this processor has the level `built`. If not, writes the one of the three lines `why` that is for its level. */
int lapps_cpu_fits(uint32_t built, const char *const why[3]) {
    uint32_t own = lapps_cpu_own_level();
    if (own >= built)
        return 1;
    const char *line = why[own - 1];
    /* Whoever has closed standard error does not want to know. */
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        return 0;
    return 0;
}
