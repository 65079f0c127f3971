-- Gauges that have sent nothing for thirty minutes, worst first.
create view stale_gauges as
select g.serial,
       g.local_name,
       o.name                               as organisation,
       max(f.received_at)                   as last_frame,
       now() - max(f.received_at)           as silent_for
from gauges g
join organisations o on o.id = g.organisation_id
left join frames f on f.serial = g.serial
where g.in_service
group by g.serial, g.local_name, o.name
having max(f.received_at) is null
    or max(f.received_at) < now() - interval '30 minutes';

-- One row per operator and day, for the talk with the mobile operators.
create view losses_by_operator as
select g.operator,
       date_trunc('day', r.measured_at)     as day,
       count(*)                             as readings,
       1440 * count(distinct g.serial)      as expected,
       1 - count(*)::numeric / (1440 * count(distinct g.serial)) as lost
from readings r
join gauges g using (serial)
group by g.operator, date_trunc('day', r.measured_at);
