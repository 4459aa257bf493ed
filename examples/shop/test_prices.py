import unittest

from prices import discount, with_tax


class PricesTest(unittest.TestCase):
    def test_tax_is_added(self):
        self.assertEqual(with_tax(10), 12.5)

    def test_a_voucher_takes_its_share(self):
        self.assertEqual(discount(50, "SPRING10"), 45.0)

    def test_an_unknown_voucher_changes_nothing(self):
        self.assertEqual(discount(50, "NOPE"), 50.0)


if __name__ == "__main__":
    unittest.main()
