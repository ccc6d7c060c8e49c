/* In front of a service's calls of fsync and fdatasync: a disk as the folder FSYNC_FOLDER says at the moment.

   slow    holds the microseconds by which each call takes longer
   hung    as long as this file is there, no call returns
   calls   if this file is there, it gets a line with the file's name for each call that went well */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int opened(const char *name, int flags)
{
    char path[PATH_MAX];
    const char *folder = getenv("FSYNC_FOLDER");

    if (folder == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return open(path, flags | O_CLOEXEC);
}

static void rest(long microseconds)
{
    struct timespec left = {microseconds / 1000000, microseconds % 1000000 * 1000};

    while (nanosleep(&left, &left) == -1 && errno == EINTR)
        ;
}

static void be_slow(void)
{
    char text[32] = "";
    int file = opened("slow", O_RDONLY);

    if (file < 0)
        return;
    if (read(file, text, sizeof text - 1) > 0)
        rest(atol(text));
    close(file);
}

static void hang(void)
{
    int file;

    while ((file = opened("hung", O_RDONLY)) >= 0) {
        close(file);
        rest(20000);
    }
}

static void tell(int synced)
{
    char link[64], name[PATH_MAX + 1];
    int file = opened("calls", O_WRONLY | O_APPEND);

    if (file < 0)
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", synced);
    ssize_t length = readlink(link, name, PATH_MAX);
    if (length > 0) {
        name[length] = '\n';
        if (write(file, name, length + 1) < 0)
            perror("fsync.c: a call could not be told");
    }
    close(file);
}

static int synced(int file, long call)
{
    be_slow();
    hang();
    int result = syscall(call, file), error = errno;
    if (result == 0)
        tell(file);
    errno = error;
    return result;
}

int fsync(int file)
{
    return synced(file, SYS_fsync);
}

int fdatasync(int file)
{
    return synced(file, SYS_fdatasync);
}
