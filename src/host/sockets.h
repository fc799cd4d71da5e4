/* sockets.h - between struct address and the kernel's socket addresses; options of every link. */
#ifndef TRUNKLINE_HOST_SOCKETS_H
#define TRUNKLINE_HOST_SOCKETS_H

#include <sys/socket.h>

#include "common/ids.h"

/* Fill the kernel's form and return its length. */
socklen_t socket_address(struct sockaddr_storage *to, const struct address *address);
/* Read the kernel's form (IPv4 inside IPv6 becomes IPv4); family ADDRESS_NONE when it is neither.
 */
struct address socket_address_read(const struct sockaddr *from);
/* The address a socket is bound to. */
struct address socket_own_address(int fd);

/* True for 0.0.0.0 and ::. */
bool address_is_any(const struct address *address);

/* Nothing of this socket leaves by another interface, whatever the routes are; "" = any may. False
 * with errno set: a kernel before 5.7 lets only root do that. */
MUST_CHECK bool socket_keep_to(int fd, const char *interface);

/* No delay, keepalive, and 40 s at most with data nobody acknowledges. */
void socket_tune(int fd);

#endif
