package invented

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// limits of each matter: minutes to arrive, or hours to finish.
var limits = []struct {
	category, matter string
	arrive, finish   int
}{
	{"报修", "水管漏水", 0, 24}, {"报修", "门禁故障", 0, 24}, {"报修", "路灯不亮", 0, 48}, {"投诉", "车辆乱停", 0, 48},
	{"投诉", "噪声扰民", 0, 24}, {"巡查", "杂草清理", 0, 72}, {"巡查", "排污管道堵塞", 0, 24}, {"感知", "垃圾桶满溢", 10, 0},
}

const (
	sensor = "传感器"
	minute = "2006-01-02 15:04"
)

// orders writes the limits and the work orders: 215 for 994 homes, as the
// demonstration estate has them.
func (w *writing) orders() error {
	t, err := w.table("工单时限.csv", "类别", "事项", "到场时限(分钟)", "完成时限(小时)")
	if err != nil {
		return err
	}
	for _, l := range limits {
		arrive, finish := "", ""
		if l.arrive > 0 {
			arrive = fmt.Sprint(l.arrive)
		}
		if l.finish > 0 {
			finish = fmt.Sprint(l.finish)
		}
		t.row(l.category, l.matter, arrive, finish)
	}
	if err := t.close(); err != nil {
		return err
	}
	if t, err = w.table("工单.csv", "工单号", "类别", "事项", "位置", "来源", "上报时间", "派单时间", "到场时间", "完成时间", "评价(1-5)"); err != nil {
		return err
	}
	reported := make([]time.Time, w.Homes*215/994)
	span := int(ends.Sub(starts).Minutes())
	for i := range reported {
		reported[i] = starts.Add(time.Duration(w.rand.IntN(span)) * time.Minute)
	}
	slices.SortFunc(reported, func(a, b time.Time) int { return cmp.Compare(a.Unix(), b.Unix()) })
	f := &w.figures.WorkOrders
	for i, at := range reported {
		l := limits[w.rand.IntN(len(limits))]
		source := pick(w, "前台", "电话", "网格巡查", "老友管家")
		arrived, finished := at.Add(time.Duration(10+w.rand.IntN(600))*time.Minute), time.Time{}
		if l.arrive > 0 {
			source, arrived = sensor, at.Add(time.Duration(4+w.rand.IntN(8))*time.Minute)
			f.Sensor++
			if arrived.Sub(at) <= time.Duration(l.arrive)*time.Minute {
				f.SensorWithin++
				f.OnTime++
			}
			finished = arrived.Add(time.Hour)
		} else {
			finished = arrived.Add(time.Duration(w.rand.IntN(l.finish*80)) * time.Minute)
			if finished.Sub(at) <= time.Duration(l.finish)*time.Hour {
				f.OnTime++
			}
		}
		rating := ""
		if source != sensor && !w.oneIn(8) {
			score := 5 - w.rand.IntN(3)*w.rand.IntN(3)
			rating = fmt.Sprint(score)
			f.Rated++
			if score >= 4 {
				f.Satisfied++
			}
		}
		f.Total, f.Responded, f.Completed = f.Total+1, f.Responded+1, f.Completed+1
		t.row(fmt.Sprintf("GD%06d", i+1), l.category, l.matter, fmt.Sprintf("%d栋", w.rand.IntN(w.Homes/building)+1), source,
			at.Format(minute), at.Add(2*time.Minute).Format(minute), arrived.Format(minute), finished.Format(minute), rating)
	}
	return t.close()
}
