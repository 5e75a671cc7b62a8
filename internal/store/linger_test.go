package store
import ("testing";"time";"os";"context";"sync";"fmt";"github.com/prometheus/client_golang/prometheus";"catchment/internal/edge";"golang.org/x/sys/unix")
func TestLinger(t *testing.T){
 if os.Getenv("LINGER")=="" {t.Skip()}
 for _,rate:=range []int{1000,5000,20000} {
 for _,d:=range []time.Duration{1,time.Millisecond,2*time.Millisecond,5*time.Millisecond,10*time.Millisecond} {
  cfg:=Config{Dir:t.TempDir(),CommitDelay:d,MinFreeBytes:1,SealRows:1<<40}; cfg.setDefaults()
  s,err:=open(cfg,quiet(),prometheus.NewRegistry(),nil); if err!=nil {t.Fatal(err)}
  tpl:=newTypical(1,testDay.Time(),time.Microsecond).take(1000)
  cpu:=func() time.Duration{ var u unix.Rusage; unix.Getrusage(unix.RUSAGE_SELF,&u); return time.Duration(u.Utime.Nano()+u.Stime.Nano())}
  before:=cpu(); n:=rate*2; var g sync.WaitGroup; var mu sync.Mutex; var tot time.Duration
  start:=time.Now()
  for i:=0;i<n;{ due:=int(time.Since(start).Seconds()*float64(rate)); for ;i<due&&i<n;i++ { g.Add(1); go func(){ defer g.Done(); b:= *tpl[i%1000]; b.ID=fmt.Sprint(i); t0:=time.Now(); s.Append(context.Background(),&b); x:=time.Since(t0); mu.Lock(); tot+=x; mu.Unlock() }() }; time.Sleep(200*time.Microsecond) }
  g.Wait()
  fmt.Printf("rate %d delay %v: cpu %.1f µs/row, mean wait %v, commits %d\n",rate,d,float64((cpu()-before).Microseconds())/float64(n),tot/time.Duration(n),s.committed)
  s.crash()
 }}
 _=edge.Unicast
}
