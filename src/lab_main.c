/* lab_main.c - the program `lab`: experiments and demonstrations, one row per subcommand. */
#include <stdio.h>
#include <string.h>

#include "src/fleet/fleet.h"
#include "src/fleet/liar_supernode.h"
#include "src/lab/cluster.h"
#include "src/lab/demo.h"
#include "src/lab/elect.h"
#include "src/lab/paper.h"

static const struct subcommand {
    const char *name;
    int (*run)(int argc, char *const *argv); /* argv[0] is the name; returns the exit status */
    const char *help;
} subcommands[] = {
    {"demo", demo_run, "start 3 supernodes and 12 peers, search, fetch, compare, stop"},
    {"cluster", cluster_run, "start, watch, break, measure and stop a network of processes"},
    {"fleet", fleet_run, "many peers in one process, which search"},
    {"elect", elect_run, "elect supernodes in virtual time, under churn and attack"},
    {"paper", paper_run, "make published figures again, beside those that were printed"},
    {"liar", liar_supernode_run, "a supernode that lies; started by a fleet that does"},
    {"proxy", cluster_proxy_run, "what the links of a cluster go through; started by it"},
};

static void usage(FILE *file) {
    fprintf(file, "usage: lab COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
        fprintf(file, "  %-10s %s\n", subcommands[i].name, subcommands[i].help);
    }
    fprintf(file, "\n`lab COMMAND --help` tells more about one.\n");
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        printf("lab %s\n", TRUNKLINE_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
        if (strcmp(name, subcommands[i].name) == 0) {
            return subcommands[i].run(argc - 1, argv + 1);
        }
    }
    if (name[0] != '\0') {
        fprintf(stderr, "lab: there is no command '%s'\n\n", name);
    }
    usage(stderr);
    return 2;
}
