/* A wall clock of its own for a program and all it starts, by LD_PRELOAD: the machine's, moved by the seconds that stand in
   the first eight bytes of the file OBSERA_WALL_CLOCK. The monotonic clocks stay what they are. libfaketime 0.9.10 cannot
   do that: without faked monotonic time, Python's time.sleep() fails under it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t none = 0, *moved = &none;
static int (*machine_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("OBSERA_WALL_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
        if (page != MAP_FAILED) moved = page;
        close(file);
    }
    machine_gettime = dlsym(RTLD_NEXT, "clock_gettime");
}

static int is_wall(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    if (!machine_gettime) machine_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = machine_gettime(clock, at);
    if (!failed && is_wall(clock)) at->tv_sec += *moved;
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

/* What waits until an instant of the wall clock gets the machine's instant; a step meanwhile does not wake it. */
static struct timespec machine_instant(const struct timespec *at) {
    struct timespec found = *at;
    found.tv_sec -= *moved;
    return found;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock, const struct timespec *until) {
    static int (*machine)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!machine) machine = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    /* A condition may wait by the monotonic clock: such an instant lies near the machine's start, not near now. */
    struct timespec instant = until->tv_sec > 1000000000 ? machine_instant(until) : *until;
    return machine(condition, lock, &instant);
}

int sem_timedwait(sem_t *gate, const struct timespec *until) {
    static int (*machine)(sem_t *, const struct timespec *);
    if (!machine) machine = dlsym(RTLD_NEXT, "sem_timedwait");
    struct timespec instant = machine_instant(until);
    return machine(gate, &instant);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
    static int (*machine)(clockid_t, int, const struct timespec *, struct timespec *);
    if (!machine) machine = dlsym(RTLD_NEXT, "clock_nanosleep");
    if (!is_wall(clock) || !(flags & TIMER_ABSTIME)) return machine(clock, flags, until, left);
    struct timespec instant = machine_instant(until);
    return machine(clock, flags, &instant, left);
}
