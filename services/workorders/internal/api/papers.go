package api

import (
	"context"
	"errors"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/workorders"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/workorders/internal/order"
)

// Headings of the limits (工单时限) and the work orders (工单).
const (
	headCategory = "类别"
	headMatter   = "事项"
	headArrive   = "到场时限(分钟)"
	headFinish   = "完成时限(小时)"

	headNumber     = "工单号"
	headPlace      = "位置"
	headSource     = "来源"
	headReported   = "上报时间"
	headDispatched = "派单时间"
	headArrived    = "到场时间"
	headFinished   = "完成时间"
	headScore      = "评价(1-5)"
)

var limitColumns = []paper.Column{{Name: headCategory, Required: true}, {Name: headMatter, Required: true}, {Name: headArrive}, {Name: headFinish}}

var orderColumns = []paper.Column{
	{Name: headNumber, Required: true}, {Name: headCategory, Required: true}, {Name: headMatter, Required: true},
	{Name: headPlace, Required: true}, {Name: headSource, Required: true}, {Name: headReported, Required: true},
	{Name: headDispatched}, {Name: headArrived}, {Name: headFinished}, {Name: headScore},
}

func (a *API) registerPapers(api huma.API) {
	paper.Take(api, a.Deps, a.known, a.Board, "limits", a.importLimits)
	paper.Take(api, a.Deps, a.known, a.Board, "orders", a.importOrders)
}

// importLimits states all limits of the estate anew.
func (a *API) importLimits(ctx context.Context, in *paper.In, _ *paper.Progress) (*paper.Report, error) {
	sheet, err := paper.Read(in.FileName(), in.RawBody, limitColumns)
	if err != nil {
		return nil, err
	}
	set := order.SetLimits{Estate: in.Estate}
	first := map[[2]string]bool{}
	for _, r := range sheet.Rows {
		l := workorders.Limit{
			Category: r.Text(headCategory), Matter: r.Text(headMatter),
			ArriveMinutes: r.Int(headArrive, 1, 100_000), FinishHours: r.Int(headFinish, 1, 10_000),
		}
		if r.OK() && l.ArriveMinutes == 0 && l.FinishHours == 0 {
			r.Fail("", "limit-missing", "a limit says minutes to arrive, or hours to finish")
		}
		if matter := [2]string{l.Category, l.Matter}; first[matter] {
			r.Fail(headMatter, "duplicate-limit", "the matter "+r.Quote(headMatter)+" has a limit already")
		} else {
			first[matter] = true
		}
		set.Limits = append(set.Limits, l)
	}
	report := paper.NewReport("limits", sheet)
	report.Check(sheet)
	if report.Whole() || in.DryRun {
		return report, nil
	}
	// Limits may change and change back, so the state says whether there is
	// anything to do and each upload asks anew.
	req := service.RowRequest(ctx, a.Deps, in.Estate, "limits", uuid.NewString(), set.Limits)
	done, err := a.limits.Do(ctx, in.Estate, req, set)
	if err != nil {
		return nil, err
	}
	for range sheet.Rows {
		paper.Tally(report, done)
	}
	return report, nil
}

// pastOrder is one row of the work orders.
type pastOrder struct {
	row   *paper.Row
	enter order.Enter
}

// importOrders enters orders of the past. They are known by number: the same
// again is the same, another under the same number is an error of its row.
func (a *API) importOrders(ctx context.Context, in *paper.In, p *paper.Progress) (*paper.Report, error) {
	sheet, err := paper.Read(in.FileName(), in.RawBody, orderColumns)
	if err != nil {
		return nil, err
	}
	limits, _, err := a.limits.Load(ctx, in.Estate)
	if err != nil {
		return nil, err
	}
	report := paper.NewReport("orders", sheet)
	var orders []pastOrder
	first := map[string]int{}
	for _, r := range sheet.Rows {
		o := pastOrder{r, readOrder(r, in.Estate, limits)}
		for _, heading := range []string{headReported, headDispatched, headArrived, headFinished} {
			if r.Time(heading).After(a.Clock()) {
				r.Fail(heading, "in-the-future", "lies in the future")
			}
		}
		if row, twice := first[o.enter.Number]; twice && r.OK() && orders[row].enter != o.enter {
			r.Fail(headNumber, order.ErrExists.Code, "row "+strconv.Itoa(orders[row].row.Number)+" has this number and says something else")
		}
		if r.OK() {
			if _, err := o.enter.Decide(order.Order{}); err != nil {
				if err := r.Refuse("", err); err != nil {
					return nil, err
				}
			}
		}
		if !r.OK() {
			report.Reject(r)
			continue
		}
		if _, twice := first[o.enter.Number]; !twice {
			first[o.enter.Number] = len(orders)
		}
		orders = append(orders, o)
	}
	if in.DryRun {
		return report, nil
	}
	return report, paper.Run(ctx, paper.Group(orders, func(o pastOrder) string { return o.enter.Order }), paper.Workers, p,
		func(ctx context.Context, o pastOrder) error {
			content := o.enter
			content.Report.Limit = workorders.Limit{} // not the paper's: limits may have changed since
			req := service.RowRequest(ctx, a.Deps, in.Estate, "orders", o.enter.Number, content)
			req.Past, req.Happened = true, o.enter.Report.At
			done, err := a.orders.Do(ctx, o.enter.Order, req, o.enter)
			switch {
			case errors.Is(err, es.ErrKeyReused), errors.Is(err, order.ErrExists):
				o.row.Fail(headNumber, order.ErrExists.Code, order.ErrExists.Detail)
				report.Reject(o.row)
				return nil
			case err != nil:
				return err
			}
			paper.Tally(report, done)
			return nil
		})
}

func readOrder(r *paper.Row, estate string, limits order.Limits) order.Enter {
	number := r.Text(headNumber)
	category, matter := r.Text(headCategory), r.Text(headMatter)
	return order.Enter{
		Report: order.Report{
			Order:  uuid.NewSHA1(uuid.MustParse(estate), []byte("workorder/"+number)).String(),
			Estate: estate, Number: number, Category: category, Matter: matter, Place: r.Text(headPlace), Source: r.Text(headSource),
			Limit: limits.Of(category, matter), At: r.Time(headReported),
		},
		Dispatched: r.Time(headDispatched), Arrived: r.Time(headArrived), Finished: r.Time(headFinished),
		Score: int(r.Int(headScore, 1, 5)),
	}
}
