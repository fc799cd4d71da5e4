/* fleet.h - many peers in one process, over real sockets and real TLS, so that one machine can load
 * a supernode with thousands. */
#ifndef TRUNKLINE_FLEET_FLEET_H
#define TRUNKLINE_FLEET_FLEET_H

/* Run `lab fleet`; argv[0] is "fleet". Every peer has its own key, folder, address and links, and
 * shares some files; each in turn searches for a file of another. Prints one line a second:
 *
 *     {"kind":"fleet","peers":2000,"registered":2000,"searches":998,"found":998,"refused":0,
 *      "ms":[1.2,...],"gaps_ms":[],"bytes_in":9120,"bytes_out":8800,
 *      "traffic":[{"kind":"traffic","message":"QUERY","sent":998,"sent_bytes":50100},...]}
 *
 * where searches are those that ended in that second, `ms` is how long those took that found what
 * is there, and `gaps_ms` how long a peer that has a parent again had none; bytes of sockets and
 * messages are those of all peers so far. With --held nobody
 * searches before SIGUSR1; SIGUSR2 ends the searches. Returns the exit status. */
int fleet_run(int argc, char *const *argv);

#endif
