/* control_socket.h - the UNIX socket of a state folder through which its program takes commands. */
#ifndef TRUNKLINE_HOST_CONTROL_SOCKET_H
#define TRUNKLINE_HOST_CONTROL_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "src/host/host.h"

#define CONTROL_SOCKET_NAME "control.sock"
#define CONTROL_PATH_BYTES 108 /* sun_path of Linux */

/* A path to the socket that fits sun_path. Long folders go through /proc/self/fd, so that
 * *folder_fd (or -1) must stay open while the path is used. */
MUST_CHECK enum err control_socket_path(const char *state_dir, char path[CONTROL_PATH_BYTES],
                                        int *folder_fd, struct host_error *error);

/* Listen there, mode 0600, non-blocking. A socket file that nobody answers is replaced;
 * ERR_DUPLICATE when somebody does, ERR_EXISTS when it is no socket. Return -1 with *error set. */
int control_socket_listen(const char *state_dir, struct host_error *error);

/* Remove the socket file. */
void control_socket_remove(const char *state_dir);

/* Connect. Return -1 with *error set: ERR_NOT_FOUND when no program listens there. */
int control_socket_connect(const char *state_dir, struct host_error *error);

/* The process and the user behind a connected socket; false when the system does not say. */
bool control_socket_peer(int fd, pid_t *process, uid_t *user);

#endif
