'use strict';
// Tables sort by the column whose heading is pressed; cells say with data-value what they are sorted by.
for (const button of document.querySelectorAll('th button')) {
  button.addEventListener('click', () => {
    const heading = button.closest('th'), row = heading.parentNode, column = [...row.children].indexOf(heading);
    const body = row.closest('table').tBodies[0];
    const falling = heading.getAttribute('aria-sort') === 'ascending';
    for (const other of row.children) other.removeAttribute('aria-sort');
    heading.setAttribute('aria-sort', falling ? 'descending' : 'ascending');
    const key = (tr) => tr.children[column].dataset.value ?? '';
    const numeric = button.dataset.kind === 'number';
    const compare = (a, b) => {
      const x = key(a), y = key(b);
      if (x === '' || y === '') return (x === '') - (y === '');  // what has no value stays at the end
      const order = numeric ? Number(x) - Number(y) : x < y ? -1 : Number(x > y);
      return falling ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  });
}
// The JSON is shown as text once somebody asks for it.
const details = document.getElementById('json');
details.addEventListener('toggle', () => {
  const text = details.querySelector('pre');
  if (details.open && !text.textContent)
    text.textContent = JSON.stringify(JSON.parse(document.getElementById('report').textContent), null, 2);
});
