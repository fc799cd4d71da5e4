/* cluster_report.h - what a run leaves behind: its result, one log of everything, a page with
 * plots. */
#ifndef TRUNKLINE_CLUSTER_CLUSTER_REPORT_H
#define TRUNKLINE_CLUSTER_CLUSTER_REPORT_H

#include "src/cluster/cluster.h"

/* True when every check held, nothing crashed, no fetched file was wrong, and every node ended as
 * it should. */
bool report_is_good(const struct cluster *cluster, uint32_t untidy);

/* The result as an object; the caller releases it. */
json_t *report_json(struct cluster *cluster, uint32_t untidy);

/* Write result.json, merged.log and report.html with its plots (gnuplot; without it the page says
 * so). False when something could not be written; cluster->trouble tells. */
bool report_write(struct cluster *cluster, uint32_t untidy);

#endif
