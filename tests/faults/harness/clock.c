/* In front of a process's questions for the time of day: a clock that is off by as many seconds as the file named by
   CLOCK_FILE says. What only counts, CLOCK_MONOTONIC and every wait that is measured by it, is left alone, as it is
   where somebody sets a machine's clock. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Asked four times a second at most: a process asks for the time far more often. */
#define FRESH_NANOSECONDS 250000000

static long off(void)
{
    static _Thread_local long seconds, asked_at;
    struct timespec now;
    char text[32] = "";
    const char *name = getenv("CLOCK_FILE");

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    long at = now.tv_sec * 1000000000 + now.tv_nsec;
    if (name == NULL || (asked_at && at - asked_at < FRESH_NANOSECONDS))
        return seconds;
    asked_at = at;
    int file = open(name, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0)
            seconds = atol(text);
        close(file);
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *found)
{
    int result = syscall(SYS_clock_gettime, clock, found);

    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        found->tv_sec += off();
    return result;
}

int gettimeofday(struct timeval *restrict found, void *restrict zone)
{
    int result = syscall(SYS_gettimeofday, found, zone);

    if (result == 0)
        found->tv_sec += off();
    return result;
}

time_t time(time_t *found)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (found)
        *found = now.tv_sec;
    return now.tv_sec;
}
