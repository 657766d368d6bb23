package etcd

import (
	"context"
	"fmt"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// keyService is the service of etcd whose answers are of a majority. Others, as a member's
// status, may be of a member that is behind.
const keyService = "/etcdserverpb.KV/"

// heed is a grpc.UnaryClientInterceptor that takes in the header of each answer about keys. It
// returns the answer as an error if it comes from another history of etcd than those before.
func (p *past) heed(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	term := p.term.Load()
	if err := invoke(ctx, method, req, reply, conn, opts...); err != nil {
		return err
	}
	answer, is := reply.(interface{ GetHeader() *pb.ResponseHeader })
	if !is || !strings.HasPrefix(method, keyService) {
		return nil
	}
	return p.heardFrom(term, answer.GetHeader())
}

// heardFrom takes in where an answer comes from; term is the newest of when it was asked for.
//
// A restore gives the members another cluster ID, unless they are named as before and have
// the same --initial-cluster-token. And it begins the terms of raft anew, where otherwise
// each is greater than the one before (raft, section 5.1): an answer of a majority carries the term of
// an entry that was applied by then, and so no older one than the answers before. This
// tells a restored copy apart even when others have written past the revision that was.
func (p *past) heardFrom(term uint64, h *pb.ResponseHeader) error {
	id := h.GetClusterId()
	p.cluster.CompareAndSwap(0, id)
	switch first := p.cluster.Load(); {
	case id != first:
		p.doubt(fmt.Sprintf("etcd has the cluster ID %x in the place of %x, as after a restore of a copy, or where store.etcd.endpoints lead to another etcd", id, first))
	case h.GetRaftTerm() < term:
		p.doubt(fmt.Sprintf("etcd went back from raft term %d to %d, as after a restore of a copy", term, h.GetRaftTerm()))
	}
	if err := p.doubted(); err != nil {
		return err
	}
	for {
		now := p.term.Load()
		if h.GetRaftTerm() <= now || p.term.CompareAndSwap(now, h.GetRaftTerm()) {
			return nil
		}
	}
}
