/* impure.c - tells the time and opens sockets. */
#include <time.h>
#include <sys/socket.h>
#include <pthread.h>
#include <stdint.h>
