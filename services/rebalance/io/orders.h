/* What the supervisor tells its workers. */
#ifndef REBALANCE_ORDERS_H
#define REBALANCE_ORDERS_H

enum rebalance_stop {
    REBALANCE_RUN_ON,
    REBALANCE_FINISH, /* finish the batch or the open slot in hand, begin no other */
    REBALANCE_ABANDON /* send nothing more: the lease is lost, or time is up */
};

#endif
