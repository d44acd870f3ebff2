-- What is close to the seeds, at most two steps away, and how much of their relevance arrives there: for items in force or
-- proposed, that the reader ($1, null sees all drafts) may see, over items that it may see; the best $2. A seed gets nothing
-- back of its own. From the 200 nearest the second step is made. Who has many neighbours says little about each.
with seeds as (
    select nodes.n, given.score from (values {seeds}) given(id, score) join nodes on nodes.id = given.id::uuid
), seen as (
    select n, id, path, status from nodes where status <> 'draft' or $1::varchar is null or author = $1::varchar
), seed_pulls as (
    select s, t, max(weight) / (1 + log10(count(*) over (partition by s))) as pull
    from edges where s in (select n from seeds) group by s, t
), near as (
    select s.n as origin, p.t as n, s.score * p.pull as score
    from seeds s join seed_pulls p on p.s = s.n join seen on seen.n = p.t
    order by s.score * p.pull desc, seen.path, s.n
    limit 200
), near_pulls as (
    select s, t, max(weight) / (1 + log10(count(*) over (partition by s))) as pull
    from edges where s in (select n from near) group by s, t
), far as (
    select p.t as n, near.score * p.pull as score from near join near_pulls p on p.s = near.n where p.t <> near.origin
)
select seen.id::varchar, max(found.score)::double as score
from (select n, score from near union all select n, score from far) found join seen on seen.n = found.n
where seen.status in ('accepted', 'proposed')
group by seen.id, seen.path
order by score desc, seen.path
limit $2::integer
